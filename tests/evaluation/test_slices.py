"""Slices by hand, and that they add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from include.recommender.config import EncodeConfig, EvaluateConfig
from include.recommender.data.encoding import encode
from include.recommender.evaluation.evaluate import fold_task, judge
from include.recommender.evaluation.judgement import UserRow
from include.recommender.evaluation.slices import N_DECILES, by_item_popularity, item_deciles, user_slices
from include.recommender.models.confidence import DAY_S
from tests.interactions import frame
from tests.tables import Table

DAY = int(DAY_S)
# user, item, day, rating, verified; the split time is at day 1000.
ROWS = [(0, 0, 0, 5, 1), (0, 1, 990, 5, 1), (1, 0, 600, 5, 1), (1, 2, 700, 5, 0), (2, 1, 100, 5, -1), (3, 0, 990, 5, 0)]
HELD = [(0, 2, 1000, 5, 1), (1, 1, 1001, 5, 1), (2, 0, 1002, 5, 1), (3, 1, 1003, 5, 1)]


def fold():
    rows = [(user, item, day * DAY, rating, verified) for user, item, day, rating, verified in ROWS + HELD]
    return encode(frame(*rows), 2000 * DAY, EncodeConfig(holdout_fraction=0.4))


def test_users_by_hand():
    idle, verified = user_slices(fold(), np.arange(4, dtype=np.int32))
    recent, half_a_year, long_ago = "0 to 30 days", "180 to 365 days", "730 days or more"
    assert [idle.labels[at] for at in idle.bracket] == [recent, half_a_year, long_ago, recent]
    assert [verified.labels[at] for at in verified.bracket] == ["all", "up to half", "not known", "none"]


def test_recall_by_slice_by_hand():
    task = fold_task(fold(), EvaluateConfig(top_k=1))
    # Of the unseen items, user 0 is shown 2 (held out), user 1 item 1 (held out), 2 and 3 what they did not take.
    scores = [[9, 9, 1], [9, 9, 9], [1, 9, 2], [9, 1, 2]]
    model = Table(scores)
    slices = judge({"model": model}, task, EvaluateConfig(top_k=1), model.users)["model"].slices
    assert slices["days since the last interaction"] == [
        UserRow("0 to 30 days", 2, 0.5),
        UserRow("180 to 365 days", 1, 1.0),
        UserRow("730 days or more", 1, 0.0),
    ]
    assert [row.label for row in slices["verified share of the history"]] == [
        "not known",
        "none",
        "up to half",
        "all",
    ]


def test_items_by_hand():
    # 20 interactions, so two a decile: item 0 fills the first five, 1 and 2 the next, the rest lie in the last two.
    counts = np.array([10, 4, 2, 1, 1, 1, 1])
    assert item_deciles(counts).tolist() == [0, 5, 7, 8, 8, 9, 9]
    best = np.array([[0, 1], [0, -1]])
    rows = by_item_popularity(counts, np.array([0, 0, 1, 6]), np.array([0, 1]), best)
    assert [(row.items, row.held_out, row.recall) for row in rows if row.held_out] == [
        (1, 2, 0.5),
        (1, 1, 1.0),
        (2, 1, 0.0),
    ]
    assert [row.shown for row in rows if row.shown] == pytest.approx([2 / 3, 1 / 3])


@settings(max_examples=60, deadline=None)
@given(arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 50)))
def test_deciles_go_from_hits_to_rare_items(counts):
    deciles = item_deciles(counts)
    assert ((deciles >= 0) & (deciles < N_DECILES)).all()
    order = np.argsort(-counts, kind="stable")
    assert (np.diff(deciles[order]) >= 0).all()
    # Before an item of decile d lie at least d tenths of all interactions.
    before = np.cumsum(counts[order]) - counts[order]
    assert (before * N_DECILES >= deciles[order] * counts.sum()).all()


def test_users_of_some_rows_are_those_of_all():
    everybody = user_slices(fold(), np.arange(4, dtype=np.int32))
    some = user_slices(fold(), np.array([3, 1], dtype=np.int32))
    for whole, part in zip(everybody, some, strict=True):
        assert part.bracket.tolist() == whole.bracket[[3, 1]].tolist()
