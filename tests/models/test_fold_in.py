"""Scores from histories: equal to the plain half-step, whatever the shape, and whoever else is in the batch."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from include.recommender.config import TrainConfig
from include.recommender.models.als import fold_in as folding
from include.recommender.models.als.fold_in import fold_in
from include.recommender.models.als.reference import user_factors
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.histories import Histories
from include.recommender.models.whitening import Whitened, on_grid

from . import oracle

quick = settings(max_examples=60, deadline=None)


def items_of(n_items, n_factors, seed=0, scale=0.3):
    return (scale * np.random.default_rng(seed).standard_normal((n_items, n_factors))).astype(np.float32)


def matrix_of(sizes, n_items, seed=1, alpha=100.0):
    """Histories of given sizes, with random items and confidences from 1 to 1 + alpha."""
    rng = np.random.default_rng(seed)
    items = [np.sort(rng.choice(n_items, size, replace=False)) for size in sizes]
    indptr = np.cumsum([0, *sizes])
    confidence = (1 + alpha * rng.random(indptr[-1])).astype(np.float32)
    found = np.concatenate(items) if items else np.zeros(0)
    return sparse.csr_matrix((confidence, found.astype(np.int32), indptr), shape=(len(sizes), n_items))


def assert_as_oracle(matrix, factors, regularization, tolerance=2e-5):
    expected = oracle.scores(matrix, factors, regularization)
    found = Als.of(factors, regularization).score(Histories.of(matrix))
    assert found.dtype == np.float32
    # Vectors of opposite signs may cancel to almost nothing, and leave the rounding of what was added up.
    uncancelled = np.abs(oracle.scores(matrix, np.abs(factors), regularization))
    largest = np.maximum(np.abs(expected), uncancelled).max(axis=1, keepdims=True, initial=1e-9)
    assert (np.abs(found - expected) <= tolerance * largest).all()


@quick
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    n_factors=st.integers(1, 24),
    regularization=st.sampled_from([0.01, 1.0, 20.0, 1000.0]),
    alpha=st.sampled_from([0.0, 1.0, 100.0, 10_000.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_scores_are_those_of_the_plain_half_step(sizes, n_factors, regularization, alpha, seed):
    factors = items_of(60, n_factors, seed)
    assert_as_oracle(matrix_of(sizes, 60, seed, alpha), factors, regularization)


@pytest.mark.parametrize("n_factors", [1, 2, 63, 64, 65, 200, 512])
def test_any_number_of_factors(n_factors):
    sizes = [0, 1, 2, 3, 7, 8, 9, 15, 16, 63, 64, 65, 100, 250]
    assert_as_oracle(matrix_of(sizes, 300), items_of(300, n_factors), 20.0)


def test_histories_longer_than_the_factors_and_than_a_chunk():
    sizes = [folding.CHUNK_ENTRIES - 1, folding.CHUNK_ENTRIES + 1, 3 * folding.CHUNK_ENTRIES, 5000]
    assert_as_oracle(matrix_of(sizes, 5000), items_of(5000, 16), 20.0)


@pytest.mark.parametrize("regularization", [1e-9, 1e-3, 1000.0])
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 2e6])
def test_extreme_confidence_and_regularization(regularization, alpha):
    """Alpha times the largest weights that the form allows; the smallest and the largest regularization."""
    matrix = matrix_of([1, 2, 5, 30, 70], 120, alpha=alpha)
    assert_as_oracle(matrix, items_of(120, 32), regularization, tolerance=1e-3)


def test_items_that_are_equal_and_items_that_are_zero():
    factors = items_of(40, 8)
    factors[10:20] = factors[5]
    factors[20:30] = 0
    assert_as_oracle(matrix_of([3, 20, 40, 40], 40), factors, 1.0, tolerance=1e-4)


def test_fewer_items_than_factors():
    assert_as_oracle(matrix_of([1, 2, 5, 5], 5), items_of(5, 32), 1.0)


def test_nothing_known_scores_zero():
    factors = items_of(9, 4)
    factors[3] = 0
    histories = Histories.of(sparse.csr_matrix(([7.0], [3], [0, 0, 1]), shape=(2, 9), dtype=np.float32))
    assert not fold_in(histories, Whitened.of_factors(factors, 1.0)).any()
    assert not Als.of(factors, 1.0).score(histories).any()


def test_nobody_is_scored_too():
    assert Als.of(items_of(9, 4), 1.0).score(Histories.of(matrix_of([], 9))).shape == (0, 9)


@quick
@given(st.lists(st.integers(0, 80), min_size=2, max_size=40), st.integers(0, 2**32 - 1), st.sampled_from([3, 16, 33]))
def test_a_users_scores_do_not_depend_on_the_others_to_the_last_bit(sizes, seed, n_factors):
    rng = np.random.default_rng(seed)
    model, histories = Als.of(items_of(333, n_factors, seed), 20.0), Histories.of(matrix_of(sizes, 333, seed))
    together = model.score(histories)
    some = rng.permutation(len(sizes))[: rng.integers(1, len(sizes) + 1)]
    assert model.score(histories.take(some)).tobytes() == together[some].tobytes()
    alone = int(some[0])
    assert model.score(histories.take(np.array([alone])))[0].tobytes() == together[alone].tobytes()


@pytest.mark.parametrize("n_factors", [64, 130, 400])
def test_nor_on_a_wide_catalogue(n_factors):
    """More items than a chunk, where a float32 product's last bits depend on the place of a row."""
    model = Als.of(items_of(9_001, n_factors), 20.0)
    histories = Histories.of(matrix_of([1, 2, 5, 70] * 12, 9_001))
    together = model.score(histories)
    for some in ([17], [3, 40], [47, 1, 30, 5, 9, 10, 22]):
        assert model.score(histories.take(np.array(some))).tobytes() == together[some].tobytes()


def test_nor_on_the_stacks(monkeypatch):
    whitened, histories = Whitened.of_factors(items_of(500, 24), 20.0), Histories.of(matrix_of([5, 5, 50, 90] * 9, 500))
    whole = fold_in(histories, whitened)
    monkeypatch.setattr(folding, "STACK_NUMBERS", 1)
    assert fold_in(histories, whitened).tobytes() == whole.tobytes()


def test_stacks_stay_within_their_bound(monkeypatch):
    largest = []
    solve = np.linalg.solve
    monkeypatch.setattr(np.linalg, "solve", lambda a, b: largest.append(a.size) or solve(a, b))
    monkeypatch.setattr(folding, "STACK_NUMBERS", 20_000)
    fold_in(Histories.of(matrix_of([5, 40, 90] * 200, 500)), Whitened.of_factors(items_of(500, 48), 20.0))
    assert max(largest) <= 20_000


@quick
@given(st.integers(1, 1_024), st.integers(0, 2**32 - 1))
def test_inner_products_on_the_grid_are_exact(n_factors, seed):
    rng = np.random.default_rng(seed)
    given_rows = rng.standard_normal((2, n_factors)) * np.exp(rng.uniform(-30, 3, (2, 1)))
    rows = on_grid(given_rows)
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(*rows, strict=True))
    for order in (rng.permutation(n_factors) for _ in range(3)):
        assert Fraction(float(rows[0][order] @ rows[1][order])) == exact
    assert (np.abs(rows - given_rows) <= 2.0**-21 * np.abs(given_rows).max(axis=1, keepdims=True)).all()


def test_users_of_a_warm_start_are_implicits_recalculation():
    config = TrainConfig(factors=8, iterations=4)
    matrix = matrix_of([0, 1, 3, 5, 9, 20] * 40, 90)
    factors, _ = fit_als(matrix, config)
    with threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(factors=8, regularization=config.regularization)
        theirs.item_factors = factors
        expected = theirs.recalculate_user(np.arange(matrix.shape[0]), matrix)
    found = user_factors(matrix, factors, config.regularization)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(found, oracle.fold_in(matrix, factors, config.regularization), rtol=1e-4, atol=1e-5)
