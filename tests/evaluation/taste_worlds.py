"""Worlds of users with a known taste, to choose models on, and configurations of what is chosen."""

from dataclasses import replace
from functools import cache

import numpy as np

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.inner import inner_fold
from include.recommender.evaluation import choose as choosing
from include.recommender.models.confidence import DAY_S
from tests.interactions import frame

N_USERS, N_ITEMS, DAYS = 300, 120, 300


def with_model(config, **model):
    return replace(config, model=replace(config.model, **model))


def with_prior(config, **prior):
    return replace(config, prior=replace(config.prior, **prior))


def with_ageing(config, **encode):
    return replace(config, encode=replace(config.encode, **encode))


def with_factors(config, factors):
    return replace(config, train=replace(config.train, factors=factors))


# All is chosen but the similarity, or the prior of ALS alone, or the family alone.
CONFIG = RetrainConfig.from_params(
    {"factors": 16, "iterations": 8, "holdout_fraction": 0.2, "prior_power": 0.2, "fit_similarity": False}
)


PRIOR = with_model(CONFIG, family="als", fit_family=False, fit_factors=False, fit_ageing=False)


FAMILY = with_factors(with_prior(with_model(CONFIG, fit_factors=False, fit_ageing=False), fit=False, power=0.0), 8)


@cache
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


@cache
def sets(noise: float = 0.0, seed: int = 0) -> EncodedFold:
    """Eighty sets of six items, each bought by a group of four users; a share of the purchases is of any item."""
    rng, rows = np.random.default_rng(seed), set()
    for group in range(80):
        items = rng.choice(2 * N_ITEMS, 6, replace=False)
        for user in range(4 * group, 4 * group + 4):
            bought = np.where(rng.random(6) < noise, rng.integers(0, 2 * N_ITEMS, 6), items)
            rows |= {(user, int(item), int(rng.integers(0, DAYS) * DAY_S), 5, 1) for item in bought}
    return encode(frame(*sorted(rows)), DAYS * DAY_S, CONFIG.encode)


def inner_of(fold: EncodedFold, config: RetrainConfig) -> EncodedFold:
    """Where a model is chosen."""
    found = inner_fold(fold, config.encode, choosing.MAX_INTERACTIONS, config.train.seed)
    assert found is not None
    return found


@cache
def phases(between: str, seed: int = 0) -> EncodedFold:
    """Users buy of one of ten groups; then something "other" for two months, or for good of "another" group."""
    rng = np.random.default_rng(seed)
    groups, rows = np.arange(2 * N_ITEMS) % 10, set()
    for user in range(N_USERS):
        first, second = rng.choice(10, 2, replace=False)
        for day in rng.permutation(DAYS)[:20]:
            some = groups == (first if day < 120 or between == "other" else second)
            if between == "other" and 120 <= day < 190:
                some = ~some
            rows.add((user, int(rng.choice(np.flatnonzero(some))), int(day * DAY_S), 5, 1))
    return encode(frame(*sorted(rows)), DAYS * DAY_S, CONFIG.encode)


AGEING = with_ageing(with_model(PRIOR, fit_ageing=True), half_life_days=10.0, age_floor=0.0)


@cache
def long_histories(popular: float = 2.0, n_users: int = 600, n_items: int = N_ITEMS) -> EncodedFold:
    """Users with 30 interactions each, by six tastes and by what everybody takes; nothing is in fashion."""
    rng = np.random.default_rng(0)
    tastes, items = rng.standard_normal((n_users, 6)), rng.standard_normal((n_items, 6))
    liked = popular * rng.standard_normal(n_items) + 3.0 * tastes @ items.T / np.sqrt(6)
    rows = set()
    for user, weights in enumerate(np.exp(liked)):
        chosen = rng.choice(n_items, 30, replace=False, p=weights / weights.sum())
        times = ((np.arange(30) + rng.random(30)) / 30 * DAYS * DAY_S).astype(int)
        rows |= {(user, int(item), int(time_s), 5, 1) for item, time_s in zip(chosen, times, strict=True)}
    return encode(frame(*sorted(rows)), DAYS * DAY_S, CONFIG.encode)


SIMILARITY = with_model(CONFIG, fit_similarity=True, fit_factors=False, fit_ageing=False)
