"""Where trials are judged: never beyond the gate's split, and on the same users."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from include.recommender.config import EncodeConfig, RetrainConfig
from include.recommender.data.encoding import encode
from include.recommender.data.split import Pairs, split_time
from include.recommender.errors import DataError
from include.recommender.tuning.folds import inner_instants, without_rare
from include.recommender.tuning.space import applied
from include.recommender.tuning.trial import CannotTrainError, judge_configuration
from tests.evaluation.taste_worlds import CONFIG, world
from tests.interactions import frame
from tests.property.test_split import FOLDABLE, FRACTIONS, encoded, quick


@quick
@given(FOLDABLE, FRACTIONS, st.integers(1, 4))
def test_instants_end_with_the_split_of_a_retraining(reviews, fraction, n):
    config = EncodeConfig(holdout_fraction=fraction)
    try:
        instants = inner_instants(reviews, 70, config, n)
    except DataError:
        assume(False)
        raise
    split_s = split_time(Pairs.before(reviews, 70).first_s, fraction)
    assert instants == sorted(set(instants))
    assert len(instants) == n + 1
    assert instants[-1] == split_s
    # What one fold holds out begins where the one before it ends, so nothing is held out twice.
    for earlier, later in pairwise(instants):
        assert split_time(Pairs.before(reviews, later).first_s, fraction) == earlier


def test_too_short_a_history_is_refused():
    rows = [(user, item, item, 5, 1) for user in range(5) for item in range(4)]
    with pytest.raises(DataError, match="splits=6"):
        inner_instants(frame(*rows), 100, EncodeConfig(), 6)


@quick
@given(FOLDABLE, st.integers(1, 4), st.integers(1, 4))
def test_rare_users_and_items_are_left_out_in_place(reviews, min_user, min_item):
    fold = encoded(reviews, 70, EncodeConfig(holdout_fraction=0.25))
    config = EncodeConfig(holdout_fraction=0.25, min_user_interactions=min_user, min_item_interactions=min_item)
    kept = without_rare(fold, config)
    assert kept.matrix.shape == fold.matrix.shape
    assert (kept.holdout_rows == fold.holdout_rows).all()
    users, items = kept.history, np.bincount(kept.indices, minlength=len(kept.item_codes))
    assert not ((users > 0) & (users < min_user)).any()
    assert not ((items > 0) & (items < min_item)).any()
    try:
        alone = encode(reviews, 70, config)
    except DataError:
        return
    # The same interactions as a retraining with these minimum counts would train on.
    assert len(kept.times) == alone.stats["train"]
    assert (kept.times[np.argsort(kept.times, kind="stable")] == np.sort(alone.times)).all()


def test_judged_users_are_the_same_whatever_is_left_out():
    fold = world(2.0, 1.0)
    strict = applied(CONFIG, {"min_user_interactions": 7, "min_item_interactions": 2})
    few, all_ = judge_configuration(fold, strict), judge_configuration(fold, CONFIG)
    assert len(few.recall) == len(all_.recall) == fold.stats["judged_users"]
    assert (few.recall != all_.recall).any()


def test_nothing_to_train_on_is_said():
    counts = {"min_user_interactions": 4, "min_item_interactions": 8}
    with pytest.raises(CannotTrainError, match="min_user_interactions=4"):
        judge_configuration(world(1.0, 1.0, n_users=3), applied(RetrainConfig(), counts))
