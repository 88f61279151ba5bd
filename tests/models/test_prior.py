"""The item prior and the one scoring function."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from include.recommender.config import PriorConfig
from include.recommender.models.als import Als
from include.recommender.models.popularity import DAY_S
from include.recommender.models.prior import FLOOR, LONG_HISTORY, ItemPrior, PriorAls, fit_prior

quick = settings(max_examples=60, deadline=None)
STRENGTHS = arrays(np.float64, st.integers(1, 12), elements=st.just(0.0) | st.floats(1e-6, 1e6))


def test_strength_halves_with_each_half_life():
    items, times = np.array([0, 1, 1], dtype=np.int32), np.array([0, 0, 30], dtype=np.int64) * DAY_S
    strength = fit_prior(items, times, 3, 60 * DAY_S, PriorConfig(half_life_days=30))
    assert strength == pytest.approx([0.25, 0.75, 0.0])


def test_scores_by_hand():
    als = Als(np.array([[1, 0], [0, 2]], dtype=np.float32), np.array([[3, 1], [2, 5], [1, 0]], dtype=np.float32))
    prior = ItemPrior.of(np.array([4.0, 1.0, 0.0]), PriorConfig(power=0.5, short_history=1.0))
    scores = PriorAls(als, prior, np.array([1, 2], dtype=np.int32)).score(np.array([0, 1], dtype=np.int32))
    # One interaction: power 0.5 * (1 + 1/1) = 1. Two: 0.5 * (1 + 1/2) = 0.75.
    assert scores[0] == pytest.approx([3, 2 * 0.25, 1 * FLOOR])
    assert scores[1] == pytest.approx([2, 10 * 0.25**0.75, 0])


@quick
@given(STRENGTHS, st.floats(0, 4), st.floats(0, 20))
def test_boosts_keep_the_order_of_strength_and_short_histories_lean_on_it_more(strength, power, short):
    boosts = ItemPrior.of(strength, PriorConfig(power=power, short_history=short)).boosts
    assert boosts.shape == (LONG_HISTORY, len(strength))
    assert np.isfinite(boosts).all()
    assert (boosts <= 1).all()
    assert (np.diff(boosts[:, np.argsort(strength)], axis=1) >= 0).all()
    assert (np.diff(boosts, axis=0) >= 0).all()


@quick
@given(STRENGTHS, st.integers(0, 2**32 - 1))
def test_without_power_it_is_als(strength, seed):
    rng = np.random.default_rng(seed)
    als = Als(
        rng.standard_normal((5, 3)).astype(np.float32), rng.standard_normal((len(strength), 3)).astype(np.float32)
    )
    model = PriorAls(als, ItemPrior.of(strength, PriorConfig(power=0.0)), np.arange(5, dtype=np.int32))
    rows = np.arange(5, dtype=np.int32)
    assert (model.score(rows) == als.score(rows)).all()


def test_even_the_strongest_power_keeps_rare_items_apart():
    boosts = ItemPrior.of(np.array([1.0, 0.0]), PriorConfig(power=4.0, short_history=20.0)).boosts
    als = Als(np.ones((1, 1), dtype=np.float32), np.array([[1], [2]], dtype=np.float32))
    assert (boosts > 0).all()
    rare = ItemPrior(np.zeros(2), np.full((LONG_HISTORY, 2), boosts[0, 1]))
    scores = PriorAls(als, rare, np.ones(1, dtype=np.int32)).score(np.zeros(1, dtype=np.int32))[0]
    assert 0 < scores[0] < scores[1]


def test_users_of_whom_nothing_is_known_get_the_prior():
    als = Als(np.zeros((1, 2), dtype=np.float32), np.ones((3, 2), dtype=np.float32))
    for power in (0.0, 0.3):
        prior = ItemPrior.of(np.array([1.0, 5.0, 2.0]), PriorConfig(power=power))
        scores = PriorAls(als, prior, np.zeros(1, dtype=np.int32)).score(np.zeros(1, dtype=np.int32))
        assert np.argsort(-scores[0]).tolist() == [1, 2, 0]


def test_part_of_the_items_keeps_its_boosts():
    prior = ItemPrior.of(np.array([8.0, 4.0, 2.0]), PriorConfig())
    assert (prior.take(np.array([2, 1])).boosts == prior.boosts[:, [2, 1]]).all()
