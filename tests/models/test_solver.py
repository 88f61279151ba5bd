"""The solver for long tails against exact references: implicit's Cholesky, and the half-step by dense algebra."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.config import TrainConfig
from include.recommender.models.als.kernels import EXACT_UP_TO, share_singles, solve_rows
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als, initial_factors
from include.recommender.models.histories import Histories
from include.recommender.models.memory import BUFFER_BYTES

quick = settings(max_examples=40, deadline=None)


def long_tail(seed, n_users=400, n_items=60, alpha=100.0, empty=0.1) -> sparse.csr_matrix:
    """Most users with one interaction, some with none, a few with many; some items with none."""
    rng = np.random.default_rng(seed)
    sizes = np.where(rng.random(n_users) < 0.6, 1, np.minimum(1 + rng.geometric(0.15, n_users), n_items - 1))
    sizes[rng.random(n_users) < empty] = 0
    sizes[0] = n_items - 1
    chance = np.arange(1, n_items + 1) ** -0.9
    chance[-1] = 0
    rows = [np.sort(rng.choice(n_items, size, replace=False, p=chance / chance.sum())) for size in sizes]
    indptr, columns = np.cumsum([0, *sizes]), np.concatenate(rows).astype(np.int32)
    confidence = (1 + alpha * rng.choice([0.0, 0.5, 1.0], len(columns), p=[0.1, 0.4, 0.5])).astype(np.float32)
    return sparse.csr_matrix((confidence, columns, indptr), shape=(n_users, n_items))


def scores_of(factors, matrix, regularization):
    return Als.of(factors, regularization).score(Histories.of(matrix))


@quick
@given(
    seed=st.integers(0, 2**32 - 1),
    n_factors=st.sampled_from([1, 2, 3, 7, 16, 17, 40]),
    regularization=st.sampled_from([0.1, 1.0, 20.0, 1000.0]),
    alpha=st.sampled_from([0.0, 1.0, 100.0]),
)
def test_solved_exactly_scores_are_those_of_implicits_cholesky(seed, n_factors, regularization, alpha):
    matrix = long_tail(seed, alpha=alpha)
    config = TrainConfig(factors=n_factors, regularization=regularization, warm_iterations=3)
    start = initial_factors(matrix.shape[1], config) * 30
    ours, curve = fit_als(matrix, config, start=start, exact=True)
    theirs, other = fit_als(matrix, replace(config, solver="implicit"), start=start, exact=True)
    found, expected = scores_of(ours, matrix, regularization), scores_of(theirs, matrix, regularization)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(curve.loss, other.loss, rtol=1e-3)


@pytest.mark.parametrize("n_factors", [64, 128, pytest.param(512, marks=pytest.mark.slow)])
def test_so_they_are_with_many_factors(n_factors):
    matrix = long_tail(1, n_users=3_000, n_items=700)
    config = TrainConfig(factors=n_factors, warm_iterations=2)
    start = initial_factors(matrix.shape[1], config) * 10
    ours, theirs = (
        fit_als(matrix, replace(config, solver=solver), start=start, exact=True)[0]
        for solver in ("whitened", "implicit")
    )
    np.testing.assert_allclose(scores_of(ours, matrix, 20.0), scores_of(theirs, matrix, 20.0), atol=1e-3)


@pytest.mark.parametrize("regularization", [1e-9, 1e-3, 1000.0])
@pytest.mark.parametrize("alpha", [1e-6, 2e6])
def test_extreme_alpha_and_regularization_give_finite_factors_and_no_worse_a_loss(regularization, alpha):
    """Alpha times the largest weights that the form allows; the smallest and the largest regularization."""
    matrix, config = long_tail(3, alpha=alpha), TrainConfig(factors=8, regularization=regularization, iterations=8)
    ours, curve = fit_als(matrix, config)
    _, theirs = fit_als(matrix, replace(config, solver="implicit"))
    assert np.isfinite(ours).all()
    assert curve.loss[-1] <= theirs.loss[-1] * 1.05 + 1e-9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_few_steps_lose_no_more_than_those_of_implicit(seed):
    """The loss after a given number of sweeps, in which implicit takes three steps from the same start too."""
    matrix, config = long_tail(seed, n_users=4_000, n_items=300), TrainConfig(factors=16, iterations=10)
    ours, theirs = (fit_als(matrix, replace(config, solver=solver))[1].loss for solver in ("whitened", "implicit"))
    assert ours[-1] <= theirs[-1] * 1.01
    assert ours == sorted(ours, reverse=True)


@pytest.mark.parametrize("kind", ["only singles", "no singles", "one user with all items", "one item"])
def test_matrices_of_one_kind(kind):
    rng = np.random.default_rng(5)
    matrix = {
        "only singles": sparse.csr_matrix(np.eye(30, dtype=np.float32)[rng.integers(0, 30, 200)] * 5),
        "no singles": sparse.csr_matrix((rng.random((50, 40)) < 0.5).astype(np.float32) * 9),
        "one user with all items": sparse.csr_matrix(np.full((1, 300), 4, np.float32)),
        "one item": sparse.csr_matrix(np.full((300, 1), 4, np.float32)),
    }[kind]
    config = TrainConfig(factors=6, regularization=2.0, warm_iterations=4)
    start = initial_factors(matrix.shape[1], config) * 30
    ours, theirs = (
        fit_als(matrix, replace(config, solver=solver), start=start, exact=True)[0]
        for solver in ("whitened", "implicit")
    )
    np.testing.assert_allclose(scores_of(ours, matrix, 2.0), scores_of(theirs, matrix, 2.0), atol=1e-3)


def dense_solution(vectors, weight, target):
    system = np.eye(vectors.shape[1]) + vectors.T @ (vectors * weight[:, None])
    return np.linalg.solve(system, vectors.T @ target)


@pytest.mark.parametrize("size", [0, 1, 2, EXACT_UP_TO - 1, EXACT_UP_TO, EXACT_UP_TO + 1, 70])
@pytest.mark.parametrize("n_factors", [1, 5, 16, 33])
@pytest.mark.parametrize("is_shared", [False, True])
def test_a_row_is_solved_like_a_dense_system(size, n_factors, is_shared):
    rng = np.random.default_rng(size)
    known = (rng.standard_normal((100, n_factors)) * 0.3).astype(np.float32)
    columns = np.sort(rng.choice(100, size, replace=False)).astype(np.int32)
    confidence = (1 + 20 * rng.random(size)).astype(np.float32)
    csr = (np.array([0, size], dtype=np.int64), columns, confidence)
    extra = rng.standard_normal((1, n_factors)).astype(np.float32)
    shared = (extra if is_shared else extra[:0], np.array([3.0]), np.array([5.0]))
    own = np.zeros((1, n_factors), dtype=np.float32)
    solve_rows(csr, known, (0, 1), own, shared, 200)
    vectors, weight, target = known[columns].astype(float), confidence - 1.0, confidence.astype(float)
    if is_shared:
        vectors, weight, target = np.vstack([vectors, extra]), np.append(weight, 3.0), np.append(target, 5.0)
    expected = dense_solution(vectors, weight, target)
    np.testing.assert_allclose(own[0], expected, atol=2e-4 * max(1.0, np.abs(expected).max(initial=0)))


@pytest.mark.parametrize("is_shared", [False, True])
def test_rows_longer_than_the_buffer(is_shared):
    """Their vectors are gathered anew in each step; the last part has the shared one."""
    n_factors = 512
    size = 2 * (BUFFER_BYTES // (4 * n_factors)) + 3
    rng = np.random.default_rng(1)
    known = (rng.standard_normal((size, n_factors)) * 0.02).astype(np.float32)
    csr = (np.array([0, size], dtype=np.int64), np.arange(size, dtype=np.int32), np.full(size, 3, dtype=np.float32))
    extra = rng.standard_normal((1, n_factors)).astype(np.float32)
    own = np.zeros((1, n_factors), dtype=np.float32)
    solve_rows(csr, known, (0, 1), own, (extra if is_shared else extra[:0], np.array([2.0]), np.array([4.0])), 300)
    vectors, weight, target = known.astype(float), np.full(size, 2.0), np.full(size, 3.0)
    if is_shared:
        vectors, weight, target = np.vstack([vectors, extra]), np.append(weight, 2.0), np.append(target, 4.0)
    np.testing.assert_allclose(own[0], dense_solution(vectors, weight, target), atol=1e-3)


def test_users_with_one_interaction_are_one_interaction_of_their_item():
    rng = np.random.default_rng(2)
    items = rng.standard_normal((3, 4)).astype(np.float32)
    confidence = np.array([1, 5, 101, 7], dtype=np.float32)
    shared = tuple(np.full(3, np.nan) for _ in range(3))
    share_singles(np.array([0, 3, 3, 4]), confidence, items, (0, 3), shared)
    for item, of_item in enumerate((confidence[:3], confidence[:0], confidence[3:])):
        c = of_item.astype(float)
        w = c / (1 + (c - 1) * float(items[item] @ items[item]))
        expected = ((c - 1) * w * w).sum(), (c * w).sum(), (w * w).sum()
        np.testing.assert_allclose([each[item] for each in shared], expected, rtol=1e-6)
        for value, weight in zip(c, w, strict=True):  # w y is the solution of such a user
            np.testing.assert_allclose(
                weight * items[item],
                dense_solution(items[[item]].astype(float), np.array([value - 1]), np.array([value])),
            )


def test_arrays_that_cannot_be_written_are_taken(tmp_path):
    matrix = long_tail(4)
    config = TrainConfig(factors=8, iterations=2)
    expected = fit_als(matrix, config)[0]
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / name, getattr(matrix, name))
    parts = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")]
    mapped = sparse.csr_matrix(tuple(parts), shape=matrix.shape)
    assert fit_als(mapped, config)[0].tobytes() == expected.tobytes()
