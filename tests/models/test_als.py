"""ALS against bare implicit, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from include.recommender.config import TrainConfig
from include.recommender.errors import ConfigError, DataError
from include.recommender.models.als.loss import SAMPLE_USERS
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als, initial_factors
from include.recommender.models.histories import Histories

CONFIG = TrainConfig(factors=8, iterations=4)
BY_IMPLICIT = TrainConfig(factors=8, iterations=4, solver="implicit")
both_solvers = pytest.mark.parametrize("solver", ["whitened", "implicit"])


def random_matrix(n_users=300, n_items=90, density=0.05, seed=0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    matrix = sparse.random(n_users, n_items, density, format="csr", dtype=np.float32, random_state=rng)
    matrix.data = (1 + 20 * rng.random(matrix.nnz)).astype(np.float32)
    return matrix


def bare(matrix, config, **options) -> AlternatingLeastSquares:
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            iterations=config.iterations,
            random_state=config.seed,
            **options,
        )
        model.fit(matrix, show_progress=False)
    return model


def scores_of(factors, matrix):
    return Als.of(factors, CONFIG.regularization).score(Histories.of(matrix))


@pytest.mark.parametrize("exact", [False, True])
def test_the_reference_gives_the_factors_of_bare_implicit(exact):
    matrix = random_matrix()
    ours, _ = fit_als(matrix, BY_IMPLICIT, exact=exact)
    np.testing.assert_array_equal(ours, bare(matrix, BY_IMPLICIT, use_cg=not exact).item_factors)


@both_solvers
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(solver):
    # More users than the loss samples, so that the sample is drawn too.
    matrix, config = random_matrix(n_users=SAMPLE_USERS + 500), replace(CONFIG, solver=solver)
    fits = [fit_als(matrix, config, threads=threads) for threads in (1, 2, 2, 4)]
    first, curve = fits[0]
    for factors, again in fits[1:]:
        assert factors.tobytes() == first.tobytes()
        assert again.loss == curve.loss


def test_another_seed_gives_other_factors():
    matrix = random_matrix()
    one, other = (fit_als(matrix, TrainConfig(factors=8, iterations=1, seed=seed))[0] for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_loss_is_that_of_the_objective_and_falls():
    matrix = random_matrix()
    _, curve = fit_als(matrix, BY_IMPLICIT)
    assert curve.loss == sorted(curve.loss, reverse=True)
    assert len(curve.seconds) == CONFIG.iterations
    model = bare(matrix, BY_IMPLICIT)  # the same fit, which keeps its users
    assert curve.loss[-1] == pytest.approx(objective(matrix, model.user_factors, model.item_factors), rel=1e-4)


def objective(matrix, users, items) -> float:
    """Hu et al. 2008, eq. 3, in full, divided by the sum of all confidences."""
    known = matrix.toarray()
    confidence = np.where(known > 0, known, 1).astype(np.float64)
    X, Y = users.astype(np.float64), items.astype(np.float64)
    penalty = CONFIG.regularization * ((X**2).sum() + (Y**2).sum())
    return float(((confidence * ((known > 0) - X @ Y.T) ** 2).sum() + penalty) / confidence.sum())


@both_solvers
def test_users_and_items_without_interactions_score_zero(solver):
    matrix = random_matrix().tolil()
    matrix[7] = 0
    matrix[:, 11] = 0
    matrix = matrix.tocsr()
    matrix.eliminate_zeros()
    factors, _ = fit_als(matrix, replace(CONFIG, solver=solver))
    assert not factors[11].any()
    scores = scores_of(factors, matrix)
    assert not scores[7].any()
    assert not scores[:, 11].any()
    assert np.isfinite(scores).all()


@both_solvers
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_odd_shapes_fit(shape, solver):
    matrix = sparse.csr_matrix(np.full(shape, 3, dtype=np.float32))
    scores = scores_of(fit_als(matrix, replace(CONFIG, solver=solver))[0], matrix)
    assert scores.shape == shape
    assert (scores > 0).all()


def test_the_input_is_not_changed():
    matrix = random_matrix()
    before = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    fit_als(matrix, CONFIG)
    for part, copy in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_memory_mapped_matrices_fit(tmp_path):
    matrix = random_matrix()
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / name, getattr(matrix, name))
    parts = [np.load(tmp_path / f"{name}.npy", mmap_mode="c") for name in ("data", "indices", "indptr")]
    mapped = sparse.csr_matrix(tuple(parts), shape=matrix.shape)
    np.testing.assert_array_equal(fit_als(mapped, CONFIG)[0], fit_als(matrix, CONFIG)[0])


def test_nothing_to_fit_is_refused():
    with pytest.raises(DataError, match=r"\(3, 4\) holds no interaction"):
        fit_als(sparse.csr_matrix((3, 4), dtype=np.float32), CONFIG)


@pytest.mark.parametrize("value", [0.5, 0.0, -1.0, np.nan])
def test_a_confidence_below_one_is_refused(value):
    matrix = random_matrix()
    matrix.data[3] = value
    with pytest.raises(DataError, match="at least 1"):
        fit_als(matrix, CONFIG)


@both_solvers
def test_overflowing_factors_are_refused(solver):
    matrix = random_matrix()
    matrix.data[:] = np.float32(3e38)
    with pytest.raises(ConfigError, match="diverged"):
        fit_als(matrix, replace(CONFIG, solver=solver))


@both_solvers
def test_a_pair_named_twice_is_refused(solver):
    twice = sparse.csr_matrix((np.full(3, 2, np.float32), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 3))
    with pytest.raises(DataError, match="names a pair of user and item twice"):
        fit_als(twice, replace(CONFIG, solver=solver))


def test_the_order_of_a_users_interactions_does_not_matter():
    matrix = random_matrix()
    turned = matrix.copy()
    for row in range(turned.shape[0]):
        span = slice(turned.indptr[row], turned.indptr[row + 1])
        turned.indices[span], turned.data[span] = turned.indices[span][::-1].copy(), turned.data[span][::-1].copy()
    turned.has_sorted_indices = False
    assert fit_als(turned, CONFIG)[0].tobytes() == fit_als(matrix, CONFIG)[0].tobytes()


@both_solvers
def test_a_warm_start_goes_on_where_a_fit_ended_without_its_users(solver):
    matrix, config = random_matrix(), replace(CONFIG, solver=solver)
    longer = replace(config, iterations=12, warm_iterations=8)
    start, first = fit_als(matrix, config)
    before = start.copy()
    _, warm = fit_als(matrix, longer, start=start)
    _, cold = fit_als(matrix, longer)
    np.testing.assert_array_equal(start, before)
    assert len(warm.loss) == 8
    assert warm.loss[0] < first.loss[-1]
    assert warm.loss[-1] == pytest.approx(cold.loss[-1], rel=1e-3)


def test_a_warm_start_is_the_same_on_any_number_of_threads():
    matrix = random_matrix()
    fits = [fit_als(matrix, CONFIG, start=initial_factors(90, CONFIG), threads=threads)[0] for threads in (1, 2, 4)]
    assert fits[0].tobytes() == fits[1].tobytes() == fits[2].tobytes()
