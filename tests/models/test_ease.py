"""Weights of EASE on neighbours are those of a regression, and those of EASE itself where all items are neighbours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.config import KnnConfig
from include.recommender.errors import ConfigError
from include.recommender.models import memory
from include.recommender.models.knn import ease
from include.recommender.models.knn.ease import fit_bytes, learn_weights, n_pairs, slow_because
from include.recommender.models.knn.fitting import REGRESSED, fit_similarities
from include.recommender.models.knn.similarities import Similarities
from include.recommender.parameters import RETRAIN

from .test_neighbours import interactions, peak_of, same_bytes

RIDGES = st.sampled_from([0.5, 10.0, 300.0])


def binary(matrix):
    return (matrix.toarray() > 0).astype(np.float64)


def everything(n_items):
    """All items as neighbours of each."""
    return Similarities.of(sparse.coo_matrix(1.0 - np.eye(n_items)))


def closed_form(matrix, ridge):
    """EASE, equation 8 of Steck 2019; row j holds what item j speaks for."""
    known = binary(matrix)
    inverse = np.linalg.inv(known.T @ known + ridge * np.eye(known.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return np.maximum(weights, 0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ridge=RIDGES, density=st.floats(0.01, 0.6))
def test_with_all_neighbours_they_are_those_of_ease(seed, ridge, density):
    matrix = interactions(seed=seed, density=density)
    found = learn_weights(matrix, everything(matrix.shape[1]), ridge, kept=matrix.shape[1])
    found.check(matrix.shape[1], "them")
    np.testing.assert_allclose(found.matrix.toarray(), closed_form(matrix, ridge), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ridge=RIDGES, neighbours=st.sampled_from([1, 3, 10]))
def test_each_item_is_regressed_on_its_neighbours(seed, ridge, neighbours):
    matrix = interactions(seed=seed)
    near = fit_similarities(matrix, KnnConfig(neighbours=neighbours))
    found = learn_weights(matrix, near, ridge, kept=matrix.shape[1]).matrix.toarray()
    known, expected = binary(matrix), np.zeros(found.shape)
    for item in range(len(found)):
        own = near.neighbours[near.indptr[item] : near.indptr[item + 1]]
        features = np.vstack([known[:, own], np.sqrt(ridge) * np.eye(len(own))])
        target = np.concatenate([known[:, item], np.zeros(len(own))])
        expected[own, item] = np.linalg.lstsq(features, target)[0]
    np.testing.assert_allclose(found, np.maximum(expected, 0.0), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kept=st.sampled_from([1, 4, 20]))
def test_the_largest_weights_of_an_item_are_kept(seed, kept):
    matrix = interactions(seed=seed)
    near = everything(matrix.shape[1])
    whole = learn_weights(matrix, near, 10.0, kept=matrix.shape[1]).matrix.toarray()
    found = learn_weights(matrix, near, 10.0, kept=kept).matrix.toarray()
    for row, all_ in zip(found, whole, strict=True):
        n = min(kept, np.count_nonzero(all_))
        assert sorted(row[row > 0]) == sorted(np.sort(all_)[len(all_) - n :])
        assert set(np.flatnonzero(row)) <= set(np.flatnonzero(all_))


def test_of_equal_weights_those_of_the_first_items_are_kept():
    """Item 0 is beside each of the others equally often."""
    users = [[0, other] for other in (3, 1, 4, 2) for _ in range(3)]
    matrix = sparse.csr_matrix((np.ones(24), np.concatenate(users), np.arange(0, 25, 2)), shape=(12, 5))
    found = learn_weights(matrix, everything(5), 10.0, kept=2)
    assert found.neighbours[: found.indptr[1]].tolist() == [1, 2]


@pytest.mark.parametrize("blocks", [1, 7, 256])
def test_neither_threads_nor_blocks_nor_confidences_change_a_bit(monkeypatch, blocks):
    matrix, config = interactions(seed=1), KnnConfig(similarity="ease")
    expected = fit_similarities(matrix, config, threads=1)
    monkeypatch.setattr(ease, "BLOCK_ITEMS", 1)
    monkeypatch.setattr(ease, "MOST_BLOCKS", blocks)
    confident = matrix.copy()
    confident.data *= 3
    assert same_bytes(expected, fit_similarities(confident, config, threads=4))


def test_a_fit_takes_the_nearest_by_bm25(monkeypatch):
    matrix = interactions(seed=2, n_items=200)
    assert np.diff(fit_similarities(matrix, KnnConfig()).indptr).max() > REGRESSED
    near = fit_similarities(matrix, KnnConfig(neighbours=REGRESSED))
    expected = learn_weights(matrix, near, 20.0, 100)
    assert same_bytes(fit_similarities(matrix, KnnConfig(similarity="ease", regularization=20.0)), expected)
    few = fit_similarities(matrix, KnnConfig(similarity="ease", neighbours=5))
    assert np.diff(few.indptr).max() == 5


def test_a_regression_does_not_count_twice_what_neighbours_share():
    """Item 2 follows item 0. Item 1 is always beside item 0, and adds nothing."""
    users = [[0, 1, 2]] * 6 + [[0, 1]] * 2 + [[0, 2]] * 6 + [[3]]
    rows, items = np.repeat(np.arange(15), [len(row) for row in users]), np.concatenate(users)
    matrix = sparse.csr_matrix((np.ones(len(items), dtype=np.float32), (rows, items)), shape=(15, 4))
    cosine = fit_similarities(matrix, KnnConfig(similarity="cosine")).matrix.toarray()
    learned = fit_similarities(matrix, KnnConfig(similarity="ease", regularization=0.1)).matrix.toarray()
    assert cosine[1, 2] / cosine[0, 2] > 0.6
    assert learned[0, 2] > 0.8
    assert learned[1, 2] == 0.0


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 1), (4, 4)])
def test_nothing_to_learn_from_gives_no_weights(shape):
    found = fit_similarities(sparse.csr_matrix(shape, dtype=np.float32), KnnConfig(similarity="ease"))
    found.check(shape[1], "them")
    assert not len(found.values)


def test_the_pairs_are_counted_before_they_are_made(monkeypatch):
    matrix = interactions()
    counts = (matrix.T > 0).astype(int) @ (matrix > 0).astype(int)
    assert counts.nnz <= n_pairs(matrix) <= 49**2  # the last item has no user
    monkeypatch.setattr(memory, "free_bytes", lambda: fit_bytes(matrix) - 1)
    with pytest.raises(ConfigError, match=r"EASE: .* pairs of items that users share need .*fit_similarity to false"):
        learn_weights(matrix, everything(50), 10.0, 100)
    monkeypatch.setattr(memory, "free_bytes", lambda: fit_bytes(matrix))
    assert len(learn_weights(matrix, everything(50), 10.0, 100).values)


@pytest.mark.parametrize("shape", [(300, 1_000, 0.05), (20_000, 40, 0.3)])
def test_the_memory_is_no_more_than_counted(shape):
    """Where pairs decide, and where interactions do."""
    n_users, n_items, density = shape
    matrix = interactions(n_users=n_users, n_items=n_items, density=density)
    near = fit_similarities(matrix, KnnConfig(neighbours=5))
    assert 0.3 * fit_bytes(matrix) < peak_of(lambda: learn_weights(matrix, near, 10.0, 100)) < 1.05 * fit_bytes(matrix)


def test_many_users_of_two_items_are_all_counted():
    """A float32 would stop at 2^24."""
    n = 2**24 + 1_000
    items, ends = np.tile(np.arange(2, dtype=np.int32), n), np.arange(0, 2 * n + 1, 2)
    found = learn_weights(sparse.csr_matrix((np.ones(2 * n, np.int8), items, ends)), everything(2), 1.0, 2)
    np.testing.assert_allclose(found.values, n / (n + 1), rtol=1e-7)


def test_the_help_says_how_large_a_catalogue_may_be():
    assert f"at most {ease.MOST_ITEMS:,} items" in RETRAIN["fit_similarity"].text


@pytest.mark.parametrize("limit", ["MOST_ITEMS", "MOST_PAIRS", "MOST_COUNTED"])
def test_it_is_quick_where_there_are_few_of_all(monkeypatch, limit):
    matrix = interactions(density=0.5)
    sizes = np.diff(matrix.indptr).astype(int)
    found = {"MOST_ITEMS": 49, "MOST_PAIRS": min(49**2, (sizes**2).sum()), "MOST_COUNTED": (sizes**2).sum()}
    assert found["MOST_PAIRS"] < found["MOST_COUNTED"]
    for name, value in found.items():
        monkeypatch.setattr(ease, name, value)
    assert slow_because(matrix) is None
    monkeypatch.setattr(ease, limit, found[limit] - 1)
    assert slow_because(matrix).startswith(f"more than {found[limit] - 1:,} ")
