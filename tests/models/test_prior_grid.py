"""Lists under many priors at once are those of each prior's model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.config import PriorConfig
from include.recommender.models import prior_grid
from include.recommender.models.als.taste import Als
from include.recommender.models.histories import Histories
from include.recommender.models.prior import ItemPrior, PriorAls
from include.recommender.models.prior_grid import PriorGrid, distinct
from include.recommender.models.ranking import recommend_all

from .test_fold_in import items_of, matrix_of

POWERS = (0.0, 0.2, 1.0, 2.5)


def popularities(n_items, seed):
    """Decayed counts of three half-lives: of short ones many items have none."""
    rng = np.random.default_rng(seed)
    counts = rng.permutation(np.arange(1, n_items + 1) ** -0.9) * n_items
    return [np.where(rng.random(n_items) < share, counts * rng.random(n_items), 0.0) for share in (0.2, 0.6, 1.0)]


def assert_as_each_model(als, histories, found_of, short_history, k):
    grid = PriorGrid.of(found_of, POWERS, short_history)
    best = grid.best(als, histories, k)
    for h, popularity in enumerate(found_of):
        for p, power in enumerate(POWERS):
            config = PriorConfig(power=power, short_history=short_history)
            model = PriorAls(als, ItemPrior.of(popularity, config))
            expected, found = recommend_all(model, histories, histories, k), best[h, p]
            scores = model.score(histories)
            rows = np.arange(len(histories))[:, None]
            # Other items only where their scores differ by no more than roundings.
            one, other = scores[rows, expected], scores[rows, found]
            np.testing.assert_allclose(
                np.where(found < 0, 0, other), np.where(expected < 0, 0, one), rtol=2e-5, atol=1e-12
            )
            assert ((found < 0) == (expected < 0)).all()
            assert (found == expected).mean() > 0.99


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([5, 30, 400]),
    st.sampled_from([1, 3, 10]),
    st.sampled_from([0.0, 1.0, 8.0]),
    st.sampled_from([4, 1_024]),
)
def test_lists_are_those_of_each_prior(seed, n_items, k, short_history, leading):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_grid, "LEADING_ITEMS", leading)
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, min(n_items, 15) + 1, 20)
        histories = Histories.of(matrix_of(sizes, n_items, seed))
        als = Als.of(items_of(n_items, 6, seed), 20.0)
        assert_as_each_model(als, histories, popularities(n_items, seed), short_history, k)


def test_on_a_wide_catalogue_in_several_blocks(monkeypatch):
    monkeypatch.setattr("include.recommender.models.ranking.BLOCK_SCORES", 100_000)
    histories = Histories.of(matrix_of([1, 2, 3, 30] * 10, 9_000))
    assert_as_each_model(Als.of(items_of(9_000, 24), 20.0), histories, popularities(9_000, 7), 1.0, 10)


def test_a_user_of_whom_nothing_is_known_gets_what_is_popular():
    factors = items_of(50, 4)
    factors[3] = 0
    matrix = matrix_of([1], 50)
    matrix.indices[:] = 3
    counts = np.arange(50, 0, -1).astype(float)
    best = PriorGrid.of([counts], [0.5], 1.0).best(Als.of(factors, 20.0), Histories.of(matrix), 4)
    np.testing.assert_array_equal(best[0, 0, 0], [0, 1, 2, 4])


def test_of_equal_scores_the_smaller_item_comes_first():
    factors = items_of(1_500, 4)
    factors[100:1_400] = factors[100]
    counts = np.ones(1_500)
    histories = Histories.of(matrix_of([2, 3, 1], 90, seed=5))
    histories = Histories(histories.indptr, histories.items, histories.confidence, 1_500)
    assert_as_each_model(Als.of(factors, 20.0), histories, [counts], 1.0, 10)


def test_users_with_one_interaction_on_the_same_item_share_a_list():
    matrix = matrix_of([1, 1, 3, 1, 1, 2], 40, seed=3)
    matrix.indices[[0, 1, 5]] = 7
    histories = Histories.of(matrix)
    rows, of_user = distinct(histories)
    assert len(rows) == 4
    assert len(set(of_user[[0, 1, 3]])) == 1
    assert_as_each_model(Als.of(items_of(40, 5), 20.0), histories, popularities(40, 1), 1.0, 5)
