"""What holds for every set of recalls: the gate is monotone, and its intervals behave."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.config import GateConfig
from include.recommender.evaluation.gate import decide, paired_bootstrap, paired_interval
from include.recommender.models.rivals import ITEM_KNN, PLAIN_ALS, RIVALS

CONFIG = GateConfig(resamples=1_000, min_users=20)
RANK = {"REJECT": 0, "HOLD": 1, "PROMOTE": 2}
RECALLS = st.lists(st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0]), min_size=20, max_size=200).map(np.array)
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None)


def against(candidate, popularity, champion=None):
    recalls = {"candidate": candidate, "popularity_all_time": popularity}
    return recalls if champion is None else {**recalls, "champion": champion}


@quick
@given(RECALLS, SEEDS)
def test_the_interval_holds_the_mean_and_stays_within_the_differences(recall, seed):
    differences = recall - np.random.default_rng(seed).permutation(recall) * 0.5
    interval = paired_bootstrap(differences, CONFIG)
    assert interval.mean == pytest.approx(differences.mean())
    slack = 1e-12
    assert interval.low - slack <= interval.mean <= interval.high + slack
    assert differences.min() - slack <= interval.low <= interval.high <= differences.max() + slack


@quick
@given(RECALLS, st.integers(-20, 20))
def test_the_interval_scales_with_the_differences(recall, power):
    # Powers of two scale floating-point numbers exactly.
    one, scaled = paired_bootstrap(recall - 0.25, CONFIG), paired_bootstrap((recall - 0.25) * 2.0**power, CONFIG)
    assert (scaled.low, scaled.high) == (one.low * 2.0**power, one.high * 2.0**power)


@quick
@given(RECALLS, SEEDS)
def test_the_order_of_the_users_does_not_matter(recall, seed):
    one, other = (paired_bootstrap(each, CONFIG) for each in (recall, np.random.default_rng(seed).permutation(recall)))
    assert (one.low, one.high) == (other.low, other.high)


@quick
@given(RECALLS)
def test_a_higher_level_gives_a_wider_interval(recall):
    narrow, wide = (paired_bootstrap(recall, replace(CONFIG, confidence_level=level)) for level in (0.8, 0.99))
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@quick
@given(RECALLS, SEEDS, st.sampled_from([0.05, 0.1, 0.5]), st.booleans())
def test_a_candidate_better_for_everybody_is_judged_no_worse(popularity, seed, gain, with_champion):
    rng = np.random.default_rng(seed)
    candidate = rng.permutation(popularity)
    champion = rng.permutation(popularity) if with_champion else None
    one, better = (decide(against(each, popularity, champion), 10, CONFIG) for each in (candidate, candidate + gain))
    assert RANK[one.decision] <= RANK[better.decision]


@quick
@given(RECALLS, SEEDS)
def test_the_comparison_the_other_way_round_is_the_mirror(one, seed):
    other = np.where(np.random.default_rng(seed).random(len(one)) < 0.3, 0.0, one)
    config = replace(CONFIG, min_relative_lift=0.0)
    there, back = decide(against(other, one), 10, config), decide(against(one, other), 10, config)
    assert there.decision != "PROMOTE"
    assert back.decision != "REJECT"
    ours, theirs = there.against_popularity, back.against_popularity
    # Resamples are drawn anew, and means of few users are coarse.
    slack = 0.15 * (ours.high - ours.low) + 2 / len(one)
    assert theirs.mean == pytest.approx(-ours.mean)
    assert abs(theirs.low + ours.high) <= slack
    assert abs(theirs.high + ours.low) <= slack


@quick
@given(RECALLS)
def test_another_popularity_never_helps(candidate):
    popularity = np.minimum(candidate, 0.25)
    one = decide(against(candidate, popularity), 10, CONFIG)
    two = decide({**against(candidate, popularity), "popularity_30d": candidate}, 10, CONFIG)
    assert RANK[two.decision] <= RANK[one.decision]
    assert two.baseline_recall >= one.baseline_recall


@quick
@given(RECALLS)
def test_too_few_users_are_never_promoted_nor_rejected(recall):
    few = replace(CONFIG, min_users=len(recall) + 1)
    for candidate, popularity in ((recall, recall * 0), (recall * 0, recall)):
        assert decide(against(candidate, popularity), 10, few).decision == "HOLD"


@quick
@given(RECALLS, SEEDS)
def test_the_imaginary_users_widen_the_interval_and_leave_the_mean(recall, seed):
    other = np.random.default_rng(seed).permutation(recall)
    plain, guarded = paired_bootstrap(recall - other, CONFIG), paired_interval(recall, other, CONFIG)
    assert guarded.mean == plain.mean
    assert guarded.low <= guarded.mean <= guarded.high
    assert guarded.high - guarded.low > 0


@quick
@given(RECALLS, SEEDS, st.sampled_from([0.0, 0.1, 0.6]), st.sampled_from(RIVALS), st.sampled_from([20, 1_000]))
def test_who_is_clearly_worse_than_a_rival_is_rejected_however_unpopular_popularity_is(
    recall, seed, share, rival, least
):
    config = replace(CONFIG, min_users=least)
    better = np.where(np.random.default_rng(seed).random(len(recall)) < share, 1.0, recall)
    judged = against(recall, np.zeros(len(recall)))
    without, found = decide(judged, 10, config), decide({**judged, rival: better}, 10, config)
    assert found.rivals == {rival: paired_interval(recall, better, config)}
    if found.rivals[rival].high < 0 and len(recall) >= least:
        assert found.decision == "REJECT"
        assert any(reason.startswith(f"worse than {rival}: the interval") for reason in found.reasons)
    else:
        assert (found.decision, found.reasons) == (without.decision, without.reasons)


def test_a_candidate_between_two_rivals_names_the_one_that_is_better():
    rng = np.random.default_rng(0)
    candidate, better, worse = ((rng.random(2_000) < p).astype(float) for p in (0.3, 0.4, 0.2))
    judged = {**against(candidate, np.zeros(2_000)), PLAIN_ALS: worse, ITEM_KNN: better}
    found = decide(judged, 10, CONFIG)
    (reason,) = found.reasons
    assert (found.decision, reason.split(":")[0]) == ("REJECT", "worse than item_knn")
    assert found.rivals[PLAIN_ALS].low > 0
