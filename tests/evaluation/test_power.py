"""The power of the item prior follows the evidence, and not the noise."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.evaluation import power
from include.recommender.evaluation.power import MIN_USERS, fit_power
from include.recommender.models.popularity import DAY_S
from tests.frames import frame

CONFIG = RetrainConfig.from_params({"factors": 16, "iterations": 8, "holdout_fraction": 0.2})
N_USERS, N_ITEMS, DAYS = 300, 120, 300


def world(taste: float, fashion: float, seed: int = 0, n_users: int = N_USERS) -> EncodedFold:
    """Users choose by lasting taste (ten groups of items) and by what is in fashion in the month."""
    rng = np.random.default_rng(seed)
    groups, group = rng.integers(0, 10, N_ITEMS), rng.integers(0, 10, n_users)
    rows = set()
    for month in range(10):
        trend = rng.standard_normal(N_ITEMS)
        for user in range(n_users):
            weights = np.exp(taste * (groups == group[user]) + fashion * trend)
            item = int(rng.choice(N_ITEMS, p=weights / weights.sum()))
            rows.add((user, item, int((month * 30 + rng.integers(0, 30)) * DAY_S), 5, 1))
    return encode(frame(*sorted(rows)), DAYS * DAY_S, CONFIG.encode)


def test_where_fashion_rules_the_prior_weighs_more_than_where_taste_does():
    by_taste, by_fashion = (fit_power(world(*rule), CONFIG) for rule in ((6.0, 0.0), (0.0, 3.0)))
    assert by_taste.judged_users > 100 < by_fashion.judged_users
    assert by_taste.power < CONFIG.prior.power < by_fashion.power
    for found in (by_taste, by_fashion):
        assert next(row["errors_below"] for row in found.tried if row["power"] == found.power) <= 1


def test_it_stays_where_it_is_configured_without_evidence():
    noise = fit_power(world(0.0, 0.0), CONFIG)
    assert noise.power == CONFIG.prior.power


def test_too_few_users_teach_nothing():
    few = fit_power(world(0.0, 3.0, n_users=MIN_USERS - 5), CONFIG)
    assert (few.power, few.tried) == (CONFIG.prior.power, [])
    assert "too few" in few.why


def test_a_fixed_power_is_left_alone():
    config = replace(CONFIG, prior=replace(CONFIG.prior, power=0.7, fit_power=False))
    assert fit_power(world(0.0, 3.0), config).power == 0.7


def test_the_holdout_of_the_gate_does_not_count():
    fold = world(1.0, 1.0)
    shuffled = replace(fold, holdout_items=np.random.default_rng(1).permutation(fold.holdout_items))
    assert fit_power(shuffled, CONFIG) == fit_power(fold, CONFIG)


@pytest.mark.parametrize("power", [0.0, 0.33])
def test_the_configured_power_is_among_those_tried(power):
    config = replace(CONFIG, prior=replace(CONFIG.prior, power=power))
    assert power in [row["power"] for row in fit_power(world(1.0, 1.0), config).tried]


@pytest.mark.parametrize("seed", range(12))
def test_it_never_steps_away_from_the_evidence(seed):
    found = fit_power(world(0.5, 0.5, seed=seed, n_users=60), CONFIG)
    best = max(found.tried, key=lambda row: row["recall"])["power"] if found.tried else CONFIG.prior.power
    assert min(best, CONFIG.prior.power) <= found.power <= max(best, CONFIG.prior.power)


def test_no_more_users_are_ranked_than_the_bound(monkeypatch):
    monkeypatch.setattr(power, "MAX_USERS", 40)
    found = fit_power(world(1.0, 1.0), CONFIG)
    assert found.judged_users == 40


@pytest.mark.parametrize("max_users", [1, 29])
def test_a_small_sample_of_judged_users_is_not_what_it_learns_from(max_users):
    few = replace(CONFIG, evaluate=replace(CONFIG.evaluate, max_users=max_users))
    assert fit_power(world(1.0, 1.0), few) == fit_power(world(1.0, 1.0), CONFIG)
