"""The item prior and the one scoring function."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from include.recommender.config import PriorConfig
from include.recommender.models.als.taste import Als
from include.recommender.models.confidence import DAY_S
from include.recommender.models.histories import Histories
from include.recommender.models.knn.similarities import Similarities
from include.recommender.models.model import Model
from include.recommender.models.popularity import ItemInteractions
from include.recommender.models.prior import FLOOR, LONG_HISTORY, ItemPrior, fit_prior

from .families import each_family, each_sum, model_of, weights
from .test_fold_in import items_of, matrix_of

quick = settings(max_examples=60, deadline=None)
COUNTS = arrays(np.float64, st.integers(1, 12), elements=st.just(0.0) | st.floats(1e-6, 1e6))


def test_popularity_halves_with_each_half_life():
    items, times = np.array([0, 1, 1], dtype=np.int32), np.array([0, 0, 30], dtype=np.int64) * DAY_S
    train = ItemInteractions(items=items, times=times, n_items=3, split_s=60 * DAY_S)
    popularity = fit_prior(train, PriorConfig(half_life_days=30))
    assert popularity == pytest.approx([0.25, 0.75, 0.0])


def test_scores_by_hand():
    taste = np.array([[3, 2, 1], [2, 10, 0], [0, 0, 0]], dtype=np.float32)
    prior = ItemPrior.of(np.array([4.0, 1.0, 0.0]), PriorConfig(power=0.5, short_history=1.0))
    scores = taste.copy()
    prior.blend(scores, np.array([1, 2, 0], dtype=np.int32), np.array([False, False, True]))
    # One interaction: power 0.5 * (1 + 1/1) = 1. Two: 0.5 * (1 + 1/2) = 0.75. None: popularity.
    assert scores[0] == pytest.approx([3, 2 * 0.25, 1 * FLOOR])
    assert scores[1] == pytest.approx([2, 10 * 0.25**0.75, 0])
    assert scores[2].tolist() == [4, 1, 0]


@each_family
def test_the_model_is_taste_times_prior_of_the_same_histories(weight):
    model, histories = model_of(40, 5, weight), Histories.of(matrix_of([0, 1, 2, 9, 30], 40))
    unknown = np.array([True, False, False, False, False])
    expected = model.without_prior.score(histories)
    model.prior.blend(expected, histories.sizes, unknown)
    assert model.score(histories).tobytes() == expected.tobytes()


@quick
@given(COUNTS, st.floats(0, 4), st.floats(0, 20))
def test_multipliers_keep_the_order_of_popularity_and_short_histories_lean_on_it_more(counts, power, short):
    multipliers = ItemPrior.of(counts, PriorConfig(power=power, short_history=short)).multipliers
    assert multipliers.shape == (LONG_HISTORY, len(counts))
    assert np.isfinite(multipliers).all()
    assert (multipliers <= 1).all()
    assert (np.diff(multipliers[:, np.argsort(counts)], axis=1) >= 0).all()
    assert (np.diff(multipliers, axis=0) >= 0).all()


@quick
@given(COUNTS, st.integers(0, 2**32 - 1))
def test_without_power_it_is_als(counts, seed):
    n_items = len(counts)
    als = Als.of(items_of(n_items, 3, seed), 1.0)
    histories = Histories.of(matrix_of([1, n_items // 2 + 1, n_items], n_items, seed))
    model = Model(als, ItemPrior.of(counts, PriorConfig(power=0.0)))
    assert (model.score(histories) == als.score(histories)).all()


@quick
@given(weights, st.integers(0, 99))
def test_without_power_it_is_the_model_without_its_prior(weight, seed):
    model, plain = (model_of(40, 5, weight, blank=True, power=power, seed=seed) for power in (0.7, 0.0))
    histories = Histories.of(matrix_of([0, 1, 1, 1, 1, 2, 9, 40], 40, seed))
    assert model.without_prior.score(histories).tobytes() == plain.score(histories).tobytes()


def test_even_the_strongest_power_keeps_rare_items_apart():
    multipliers = ItemPrior.of(np.array([1.0, 0.0]), PriorConfig(power=4.0, short_history=20.0)).multipliers
    assert (multipliers > 0).all()
    rare = ItemPrior(np.zeros(2), np.full((LONG_HISTORY, 2), multipliers[0, 1]))
    taste = np.array([[1, 2]], dtype=np.float32)
    rare.blend(taste, np.ones(1, dtype=np.int32), np.zeros(1, dtype=bool))
    assert 0 < taste[0, 0] < taste[0, 1]


@each_family
def test_users_of_whom_nothing_is_known_get_the_prior(weight):
    """No history, and a history of one item that the model knows nothing about."""
    factors = items_of(3, 2)
    factors[0] = 0
    histories = Histories(np.array([0, 0, 1]), np.zeros(1, np.int32), np.full(1, 9, np.float32), 3)
    apart = Similarities.of(sparse.csr_matrix(([0.3, 0.2], ([1, 2], [2, 1])), shape=(3, 3)))
    for power in (0.0, 0.3):
        prior = ItemPrior.of(np.array([1.0, 5.0, 2.0]), PriorConfig(power=power))
        model = Model(Als.of(factors, 1.0), prior, apart if weight else None, weight)
        for scores in model.score(histories):
            assert np.argsort(-scores).tolist() == [1, 2, 0]


@each_sum
def test_a_user_of_an_item_with_neighbours_is_known_also_where_als_knows_nothing(weight):
    factors = items_of(4, 2)
    factors[0] = 0
    history = Histories(np.array([0, 1]), np.zeros(1, np.int32), np.full(1, 9, np.float32), 4)
    similar = Similarities.of(sparse.csr_matrix(([0.2, 0.1], ([0, 0], [3, 2])), shape=(4, 4)))
    model = Model(Als.of(factors, 1.0), ItemPrior.of(np.array([9.0, 5.0, 2.0, 1.0]), PriorConfig(power=0.0)))
    assert np.argsort(-model.score(history)[0], kind="stable").tolist() == [0, 1, 2, 3]
    blended = replace(model, similar=similar, knn_weight=weight)
    assert np.argsort(-blended.score(history)[0], kind="stable").tolist() == [3, 2, 0, 1]
