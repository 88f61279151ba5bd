"""Power and half-life of the item prior follow the evidence, and not the noise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.inner import inner_fold
from include.recommender.evaluation import learn_prior as learning
from include.recommender.evaluation.evaluate import fold_task, judge
from include.recommender.evaluation.learn_prior import (
    HALF_LIVES,
    MIN_USERS,
    POWERS,
    learn_prior,
    nearest,
)
from include.recommender.models.als.training import fit_als
from include.recommender.models.confidence import DAY_S
from include.recommender.models.prior import fit_prior
from include.recommender.models.scoring import model_of
from tests.interactions import frame

CONFIG = RetrainConfig.from_params({"factors": 16, "iterations": 8, "holdout_fraction": 0.2})
N_USERS, N_ITEMS, DAYS = 300, 120, 300


def world(taste: float, fashion: float, seed: int = 0, n_users: int = N_USERS, months_a_trend: int = 1) -> EncodedFold:
    """Users choose by lasting taste (ten groups of items) and by what is in fashion in the month, or in some months."""
    rng = np.random.default_rng(seed)
    groups, group = rng.integers(0, 10, N_ITEMS), rng.integers(0, 10, n_users)
    rows = set()
    for month in range(10):
        if month % months_a_trend == 0:
            trend = rng.standard_normal(N_ITEMS)
        for user in range(n_users):
            weights = np.exp(taste * (groups == group[user]) + fashion * trend)
            item = int(rng.choice(N_ITEMS, p=weights / weights.sum()))
            rows.add((user, item, int((month * 30 + rng.integers(0, 30)) * DAY_S), 5, 1))
    return encode(frame(*sorted(rows)), DAYS * DAY_S, CONFIG.encode)


def test_where_fashion_rules_the_prior_weighs_more_than_where_taste_does():
    taste, fashion = world(6.0, 0.0), world(0.0, 3.0)
    alone, strong = (replace(CONFIG, prior=replace(CONFIG.prior, power=power)) for power in (0.0, 1.0))
    assert learn_prior(taste, strong).power < learn_prior(fashion, strong).power
    assert learn_prior(taste, alone).power == 0.0 < learn_prior(fashion, alone).power
    for found in (learn_prior(taste, strong), learn_prior(fashion, alone)):
        assert found.judged_users > 100
        (own,) = (row for row in found.tried if (row.half_life_days, row.power) == chosen(found))
        assert not own.clearly_worse


def test_where_fashions_pass_quickly_the_half_life_is_shorter_than_where_they_last():
    """Each month has its own fashion, or one fashion lasts for all of train."""
    config = replace(CONFIG, prior=replace(CONFIG.prior, half_life_days=60.0))
    quick = learn_prior(world(0.0, 3.0), config)
    lasting = learn_prior(world(0.0, 3.0, months_a_trend=10), config)
    assert quick.half_life_days < 60 <= lasting.half_life_days


@pytest.mark.slow
def test_without_evidence_it_leaves_what_is_configured_in_about_one_of_three():
    moved = [
        chosen(learn_prior(world(0.0, 0.0, seed), CONFIG)) != (CONFIG.prior.half_life_days, CONFIG.prior.power)
        for seed in range(40)
    ]
    # Three standard errors of 40 worlds.
    assert abs(np.mean(moved) - 1 / 3) < 3 * (2 / 9 / 40) ** 0.5


def test_too_few_users_teach_nothing():
    few = learn_prior(world(0.0, 3.0, n_users=MIN_USERS - 5), CONFIG)
    assert (few.power, few.tried) == (CONFIG.prior.power, [])
    assert "too few" in few.why


def test_what_is_fixed_is_left_alone():
    config = replace(CONFIG, prior=replace(CONFIG.prior, power=0.7, half_life_days=11.0, fit=False))
    assert chosen(learn_prior(world(0.0, 3.0), config)) == (11.0, 0.7)


def test_the_holdout_of_the_gate_does_not_count():
    fold = world(1.0, 1.0)
    shuffled = replace(fold, holdout_items=np.random.default_rng(1).permutation(fold.holdout_items))
    assert learn_prior(shuffled, CONFIG) == learn_prior(fold, CONFIG)


@pytest.mark.parametrize(("power", "days"), [(0.0, 30.0), (0.33, 50.0)])
def test_the_configured_is_among_those_tried(power, days):
    config = replace(CONFIG, prior=replace(CONFIG.prior, power=power, half_life_days=days))
    tried = [(row.half_life_days, row.power) for row in learn_prior(world(1.0, 1.0), config).tried]
    assert (days, power) in tried
    assert len(tried) == len(set(tried)) == len(HALF_LIVES) * len({*POWERS, power})


def test_the_recalls_are_those_of_the_one_scoring_function():
    fold = world(1.0, 1.5)
    inner = inner_fold(fold, CONFIG.encode, 10**6, CONFIG.train.seed)
    factors, _ = fit_als(inner.matrix, CONFIG.train)
    task = fold_task(inner, CONFIG.evaluate)
    tried = {(row.half_life_days, row.power): row.recall for row in learn_prior(fold, CONFIG).tried}
    for days, power in ((30.0, 0.0), (7.5, 0.2), (120.0, 2.5)):
        prior = replace(CONFIG.prior, half_life_days=days, power=power)
        model = model_of(factors, fit_prior(inner.item_interactions, prior), CONFIG.train, prior)
        judged = judge({"model": model}, task, CONFIG.evaluate)["model"]
        assert tried[days, power] == pytest.approx(judged.means["recall@10"], abs=1e-12)


GRID = [(days, power) for days in (1.0, 2.0, 3.0) for power in (0.0, 0.5, 1.0)]
PLACE = {point: (GRID.index(point) // 3, GRID.index(point) % 3) for point in GRID}


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.float64, (len(GRID), 12), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    st.sampled_from(GRID),
    st.floats(0.5, 4.0),
)
def test_the_nearest_that_is_not_clearly_worse_on_the_way_to_the_best(recalls, own, limit):
    found, best, below = nearest(dict(zip(GRID, recalls, strict=True)), PLACE, own, limit)
    means = dict(zip(GRID, recalls.mean(axis=1), strict=True))
    assert means[best] == max(means.values())
    assert below[found] <= limit

    def steps(point):
        return sum(abs(one - other) for one, other in zip(PLACE[point], PLACE[own], strict=True))

    assert steps(best) == min(steps(point) for point in GRID if means[point] == means[best])
    for one, other, end in zip(PLACE[found], PLACE[own], PLACE[best], strict=True):
        assert min(other, end) <= one <= max(other, end)
    # By hand: a point nearer to the configured one that lies on the way is clearly worse, by its own t value.
    for point in GRID:
        on_the_way = all(
            min(a, b) <= at <= max(a, b) for at, a, b in zip(PLACE[point], PLACE[own], PLACE[best], strict=True)
        )
        if on_the_way and steps(point) < steps(found):
            difference = recalls[GRID.index(best)] - recalls[GRID.index(point)]
            assert stats.ttest_1samp(difference, 0).statistic > limit


def test_no_half_life_is_tried_that_no_run_could_be_given():
    config = replace(CONFIG, prior=replace(CONFIG.prior, half_life_days=0.2))
    tried = learn_prior(world(1.0, 1.0), config).tried
    assert sorted({row.half_life_days for row in tried}) == [0.1, 0.2, 0.4, 0.8]


def test_no_more_users_are_ranked_than_the_bound(monkeypatch):
    monkeypatch.setattr(learning, "MAX_USERS", 40)
    assert learn_prior(world(1.0, 1.0), CONFIG).judged_users == 40


@pytest.mark.parametrize("max_users", [1, 29])
def test_a_small_sample_of_judged_users_is_not_what_it_learns_from(max_users):
    few = replace(CONFIG, evaluate=replace(CONFIG.evaluate, max_users=max_users))
    assert learn_prior(world(1.0, 1.0), few) == learn_prior(world(1.0, 1.0), CONFIG)


def chosen(found):
    return found.half_life_days, found.power
