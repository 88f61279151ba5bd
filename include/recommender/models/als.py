"""Alternating least squares for implicit feedback (Hu, Koren, Volinsky, 2008), through the `implicit` library."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from ..config import TrainConfig
from ..errors import ConfigError, DataError
from .memory import check_memory
from .protocol import Rows, Scores

log = logging.getLogger(__name__)

Factors = np.ndarray[Any, np.dtype[np.float32]]

LOSS_USERS = 2_000


@dataclass(frozen=True)
class Als:
    """Factors; the score of an item for a user is their inner product.

    user_factors : float32, shape (n_users, n_factors); item_factors : float32, shape (n_items, n_factors)
    """

    user_factors: Factors
    item_factors: Factors

    def score(self, rows: Rows) -> Scores:
        """Inner products, float32, shape (len(rows), n_items)."""
        scores: Scores = self.user_factors[rows] @ self.item_factors.T
        return scores


def initial_factors(shape: tuple[int, int], config: TrainConfig) -> Als:
    """Small random factors, as a cold start begins with; float32, for shape (n_users, n_items)."""
    rng = np.random.default_rng(config.seed)
    user, item = (rng.random((n, config.factors), dtype=np.float32) * np.float32(0.01) for n in shape)
    return Als(user, item)


@dataclass
class TrainingCurve:
    """Per iteration: seconds, and the loss over a fixed sample of at most LOSS_USERS users."""

    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)


def fit_als(
    matrix: sparse.csr_matrix,
    config: TrainConfig,
    *,
    start: Als | None = None,
    threads: int = 0,
    exact: bool = False,
) -> tuple[Als, TrainingCurve]:
    """Factorize a confidence matrix.

    Parameters
    ----------
    matrix : float32 CSR, shape (n_users, n_items), values at least 1; absent entries are unknown. implicit wants
        its arrays writable, though it does not write
    start : factors to begin with, in the rows and columns of the matrix; then `warm_iterations` are enough
    threads : 0 takes all cores; the result does not depend on it
    exact : solve each row by Cholesky instead of three steps of conjugate gradients (Takacs et al. 2011), about twice
        as slow

    Raises
    ------
    ConfigError
        The fit would not fit into the memory that is free (the message holds the arithmetic), or it diverged.
    DataError
        The matrix holds nothing, or a value below 1, which would count less than an unknown item.
    """
    _check_matrix(matrix)
    check_memory(matrix.shape, matrix.nnz, config.factors)
    # implicit starts OpenMP threads, which do not survive a fork: import it in the process that fits.
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.recommender_base import ModelFitError
    from threadpoolctl import threadpool_limits

    # More BLAS threads are slower beside implicit's own, and change the order of sums from run to run.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            iterations=config.warm_iterations if start else config.iterations,
            random_state=config.seed,
            num_threads=threads,
            use_cg=not exact,
        )
        if start:
            model.user_factors, model.item_factors = start.user_factors.copy(), start.item_factors.copy()
        curve = TrainingCurve()
        try:
            model.fit(matrix, show_progress=False, callback=_recorder(model, matrix, config, curve))
        except ModelFitError as error:
            raise ConfigError(
                f"ALS diverged with factors={config.factors}, regularization={config.regularization:g}: {error}. "
                "Raise regularization, or lower alpha."
            ) from error
    return Als(model.user_factors, model.item_factors), curve


def _recorder(
    model: Any, matrix: sparse.csr_matrix, config: TrainConfig, curve: TrainingCurve
) -> Callable[[int, float, float | None], None]:
    from implicit.cpu import _als

    sample = _loss_sample(matrix, config.seed)
    sampled = matrix[sample]

    def record(iteration: int, seconds: float, _loss: float | None) -> None:
        users = np.ascontiguousarray(model.user_factors[sample])
        # One thread: the order in which several add up is not defined, and the loss is kept in an artifact.
        loss = float(_als.calculate_loss(sampled, users, model.item_factors, config.regularization, num_threads=1))
        curve.seconds.append(seconds)
        curve.loss.append(loss)
        log.info("ALS iteration %d of %d: loss %.6f, %.2f s", iteration + 1, model.iterations, loss, seconds)

    return record


def _loss_sample(matrix: sparse.csr_matrix, seed: int) -> np.ndarray[Any, Any]:
    n_users = matrix.shape[0]
    return np.sort(np.random.default_rng(seed).choice(n_users, min(n_users, LOSS_USERS), replace=False))


def _check_matrix(matrix: sparse.csr_matrix) -> None:
    if matrix.nnz == 0:
        raise DataError(f"The confidence matrix of shape {matrix.shape} holds no interaction: there is nothing to fit.")
    lowest = float(matrix.data.min())
    if not lowest >= 1:
        raise DataError(f"A confidence is {lowest:g}; expected 1 + alpha * weight, at least 1, for every interaction.")


def fold_in(histories: sparse.csr_matrix, item_factors: Factors, gram: Factors, regularization: float) -> Factors:
    """Factors of users that were not trained, from their histories: one exact half-step of ALS (Hu et al. 2008, eq. 4).

    Parameters
    ----------
    histories : confidence, float32 CSR, shape (n, n_items)
    item_factors : float32, shape (n_items, n_factors); zero rows add nothing
    gram : item_factors.T @ item_factors of all items of the model, float32, shape (n_factors, n_factors)

    Returns
    -------
    float32, shape (n, n_factors); zero for a history in which nothing is known
    """
    n_factors = item_factors.shape[1]
    base = gram.astype(np.float64) + regularization * np.eye(n_factors)
    out = np.zeros((histories.shape[0], n_factors), dtype=np.float32)
    for row in range(histories.shape[0]):
        span = slice(histories.indptr[row], histories.indptr[row + 1])
        Y = item_factors[histories.indices[span]].astype(np.float64)
        c = histories.data[span].astype(np.float64)
        out[row] = np.linalg.solve(base + (Y.T * (c - 1)) @ Y, Y.T @ c)
    return out
