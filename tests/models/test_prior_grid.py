"""Lists under many priors and weights of item-kNN at once are those of each one's model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.config import PriorConfig
from include.recommender.models import prior_grid
from include.recommender.models.als.taste import Als
from include.recommender.models.histories import Histories
from include.recommender.models.knn.similarities import Similarities
from include.recommender.models.model import KNN_ALONE, Model
from include.recommender.models.prior import ItemPrior
from include.recommender.models.prior_grid import Held, PriorGrid, distinct
from include.recommender.models.prior_kernels import count_hits
from include.recommender.models.ranking import recommend_all

from .families import WEIGHTS, each_family, model_of, of_als, similar_of, weights
from .test_fold_in import items_of, matrix_of

POWERS = (0.0, 0.2, 1.0, 2.5)


def popularities(n_items, seed):
    """Decayed counts of three half-lives: of short ones many items have none."""
    rng = np.random.default_rng(seed)
    counts = rng.permutation(np.arange(1, n_items + 1) ** -0.9) * n_items
    return [np.where(rng.random(n_items) < share, counts * rng.random(n_items), 0.0) for share in (0.2, 0.6, 1.0)]


def assert_as_each_model(model, histories, found_of, short_history, k, weights):
    """With a weight of item-kNN; of weight 0 it is ALS alone."""
    grid = PriorGrid.of(found_of, POWERS, short_history)
    best = grid.best(replace(model, knn_weight=1.0), weights, histories, k)
    for w, weight in enumerate(weights):
        of_weight = replace(model, knn_weight=weight) if weight else of_als(model)
        for h, popularity in enumerate(found_of):
            for p, power in enumerate(POWERS):
                prior = ItemPrior.of(popularity, PriorConfig(power=power, short_history=short_history))
                assert_as_model(best[w, h, p], replace(of_weight, prior=prior), histories, k)


def assert_as_model(found, model, histories, k):
    expected, scores = recommend_all(model, histories, histories, k), model.score(histories)
    rows = np.arange(len(histories))[:, None]
    # Other items only where their scores differ by no more than roundings.
    one, other = scores[rows, expected], scores[rows, found]
    np.testing.assert_allclose(np.where(found < 0, 0, other), np.where(expected < 0, 0, one), rtol=2e-5, atol=1e-12)
    assert ((found < 0) == (expected < 0)).all()
    assert (found == expected).mean() > 0.99


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([5, 30, 400]),
    st.sampled_from([1, 3, 10]),
    st.sampled_from([0.0, 1.0, 8.0]),
    st.sampled_from([4, 1_024]),
    st.lists(weights, min_size=1, max_size=2),
)
def test_lists_are_those_of_each_prior_and_weight(seed, n_items, k, short_history, leading, some):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_grid, "LEADING_ITEMS", leading)
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, min(n_items, 15) + 1, 20)
        histories = Histories.of(matrix_of(sizes, n_items, seed))
        model = model_of(n_items, 6, max(some), seed=seed)
        assert_as_each_model(model, histories, popularities(n_items, seed), short_history, k, some)


def test_on_a_wide_catalogue_in_several_blocks(monkeypatch):
    monkeypatch.setattr("include.recommender.models.ranking.BLOCK_SCORES", 100_000)
    histories = Histories.of(matrix_of([1, 2, 3, 30] * 10, 9_000))
    assert_as_each_model(model_of(9_000, 24, 1.0), histories, popularities(9_000, 7)[1:], 1.0, 10, [0.0, 0.5])


@each_family
def test_a_user_of_whom_nothing_is_known_gets_what_is_popular(weight):
    factors = items_of(50, 4)
    factors[3] = 0
    matrix = matrix_of([1], 50)
    matrix.indices[:] = 3
    counts = np.arange(50.0)
    counts[3] = 99
    similar = Similarities.of(sparse.csr_matrix(([1.0], ([5], [7])), shape=(50, 50)))
    model = Model(Als.of(factors, 20.0), ItemPrior.of(counts, PriorConfig()), similar, 1.0)
    best = PriorGrid.of([counts], [0.5], 1.0).best(model, [weight], Histories.of(matrix), 4)
    np.testing.assert_array_equal(best[0, 0, 0, 0], [49, 48, 47, 46])


def test_so_does_one_of_whom_only_item_knn_knows_something_where_it_has_no_weight():
    factors, counts = items_of(9, 2), np.array([1.0, 5, 2, 0, 9, 3, 4, 8, 7])
    factors[3] = 0
    history = Histories(np.array([0, 1]), np.array([3], np.int32), np.full(1, 9, np.float32), 9)
    similar = Similarities.of(sparse.csr_matrix(([2.0, 1.0], ([3, 3], [5, 0])), shape=(9, 9)))
    model = Model(Als.of(factors, 20.0), ItemPrior.of(counts, PriorConfig()), similar, 1.0)
    best = PriorGrid.of([counts], [0.5], 1.0).best(model, [0.0, 0.5, KNN_ALONE], history, 4)
    assert best[:, 0, 0, 0].tolist() == [[4, 7, 8, 1], [5, 0, 1, 2], [5, 0, 1, 2]]


@each_family
def test_of_equal_scores_the_smaller_item_comes_first(weight):
    factors, groups = items_of(1_500, 4), np.arange(1_500)
    factors[100:1_400], groups[100:1_400] = factors[100], 100
    counts = np.ones(1_500)
    histories = Histories.of(matrix_of([2, 3, 1], 90, seed=5))
    histories = Histories(histories.indptr, histories.items, histories.confidence, 1_500)
    model = Model(Als.of(factors, 20.0), ItemPrior.of(counts, PriorConfig()), similar_of(1_500, 1, groups), weight)
    assert_as_each_model(model, histories, [counts], 1.0, 10, [weight])


def test_users_with_one_interaction_on_the_same_item_share_a_list():
    matrix = matrix_of([1, 1, 3, 1, 1, 2], 40, seed=3)
    matrix.indices[[0, 1, 5]] = 7
    histories = Histories.of(matrix)
    rows, of_user = distinct(histories)
    assert len(rows) == 4
    assert len(set(of_user[[0, 1, 3]])) == 1
    every = list(WEIGHTS.values())
    assert_as_each_model(model_of(40, 5, 1.0), histories, popularities(40, 1), 1.0, 5, every)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([1, 5, 100]))
def test_hits_are_the_items_of_a_list_that_were_held_out(seed, n_items, k):
    rng = np.random.default_rng(seed)
    lists, held = [], []
    for _ in range(7):
        shown = rng.permutation(n_items)[: rng.integers(0, k + 1)]
        lists.append([*shown, *[-1] * (k - len(shown))])
        held.append(np.sort(rng.permutation(np.arange(-1, n_items))[: rng.integers(0, n_items + 1)]))
        held[-1] = np.concatenate([[-1] * int(rng.integers(0, 3)), held[-1]])
    hits = np.full(7, 255, dtype=np.uint8)
    indptr, items = np.cumsum([0, *map(len, held)]), np.concatenate(held).astype(np.int32)
    count_hits(np.array(lists, dtype=np.int32), indptr, items, hits)
    assert hits.tolist() == [
        len({int(item) for item in best} & {int(item) for item in of_user} - {-1})
        for best, of_user in zip(lists, held, strict=True)
    ]


def assert_hits_are_in_the_lists(model, histories, grid, weights, k, seed):
    """Held-out items are any: seen ones, those of the lists, and some that no list can name."""
    rng, n_items = np.random.default_rng(seed), histories.n_items
    lists = grid.best(model, weights, histories, k)
    held = []
    for user in range(len(histories)):
        listed = np.unique(lists[:, :, :, user])
        some = rng.choice(np.concatenate([listed, np.arange(-1, n_items)]), rng.integers(1, 4), replace=False)
        held.append(np.sort(some).astype(np.int32))
    wanted = rng.random(lists.shape[:3]) < rng.choice([0.2, 1.0])
    asked = Held(np.cumsum([0, *map(len, held)]), np.concatenate(held))
    hits = grid.hits(model, weights, histories, asked, k, wanted)
    expected = [
        [item >= 0 and item in best[user] for user, items in enumerate(held) for item in items]
        for best in lists[wanted].tolist()
    ]
    assert hits.shape == (np.count_nonzero(wanted), len(asked.items))
    np.testing.assert_array_equal(hits, np.array(expected, dtype=bool).reshape(hits.shape))
    return hits


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([5, 30, 400]),
    st.sampled_from([1, 3, 10]),
    st.sampled_from([4, 1_024]),
    st.lists(weights, min_size=1, max_size=3, unique=True),
)
def test_held_out_items_are_hit_where_they_are_in_the_lists(seed, n_items, k, leading, some):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_grid, "LEADING_ITEMS", leading)
        sizes = np.random.default_rng(seed).integers(1, min(n_items, 15) + 1, 20)
        histories = Histories.of(matrix_of(sizes, n_items, seed))
        grid = PriorGrid.of(popularities(n_items, seed), POWERS, 1.0)
        assert_hits_are_in_the_lists(model_of(n_items, 6, 1.0, seed=seed), histories, grid, some, k, seed)


def test_hits_on_a_wide_catalogue_in_several_blocks_and_of_users_who_share_a_list(monkeypatch):
    monkeypatch.setattr("include.recommender.models.ranking.BLOCK_SCORES", 100_000)
    matrix = matrix_of([1, 1, 2, 3, 30] * 8, 9_000)
    matrix.indices[matrix.indptr[:-1][np.diff(matrix.indptr) == 1]] = 7
    grid = PriorGrid.of(popularities(9_000, 7), POWERS, 1.0)
    model, histories = model_of(9_000, 24, 1.0), Histories.of(matrix)
    hits = assert_hits_are_in_the_lists(model, histories, grid, [0.0, 0.5, KNN_ALONE], 10, 3)
    assert 0 < hits.mean() < 1


@pytest.mark.parametrize("seed", range(8))
def test_hits_of_users_whose_taste_is_negative_equal_or_unknown(seed):
    """Of equal scores the smaller item comes first, and of negative ones the less popular."""
    factors = items_of(60, 3, seed=seed)
    factors[20:50], factors[3], factors[5] = factors[20], 0, -factors[6]
    matrix = matrix_of([1, 1, 2, 4], 60, seed=seed)
    matrix.indices[:2] = 3, 5
    counts = np.where(np.arange(60) % 3, 1.0, np.arange(60))
    similar = Similarities.of(sparse.csr_matrix(([1.0, 2.0], ([3, 5], [7, 9])), shape=(60, 60)))
    model = Model(Als.of(factors, 20.0), ItemPrior.of(counts, PriorConfig()), similar, 1.0)
    grid = PriorGrid.of([counts, counts[::-1].copy()], POWERS, 1.0)
    assert_hits_are_in_the_lists(model, Histories.of(matrix), grid, [0.0, 0.5, KNN_ALONE], 25, seed)
