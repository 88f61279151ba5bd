"""Alternating least squares for implicit feedback (Hu, Koren, Volinsky, 2008), through the `implicit` library."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from ..config import TrainConfig
from ..errors import ConfigError
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


@dataclass
class TrainingCurve:
    """Per iteration: seconds, and the loss over a fixed sample of users (all of them where there are few)."""

    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)


def fit_als(matrix: sparse.csr_matrix, config: TrainConfig, *, threads: int = 0) -> tuple[Als, TrainingCurve]:
    """Factorize a confidence matrix.

    Parameters
    ----------
    matrix : float32 CSR, shape (n_users, n_items), values at least 1; absent entries are unknown
    threads : 0 takes all cores; the result does not depend on it

    Raises
    ------
    ConfigError
        The fit would not fit into the memory that is free; the message holds the arithmetic.
    """
    check_memory(matrix.shape, matrix.nnz, config.factors)
    # implicit starts OpenMP threads, which do not survive a fork: import it in the process that fits.
    from implicit.cpu import _als
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    model = AlternatingLeastSquares(
        factors=config.factors,
        regularization=config.regularization,
        iterations=config.iterations,
        random_state=config.seed,
        num_threads=threads,
    )
    curve = TrainingCurve()
    sample = _loss_sample(matrix, config.seed)
    sampled = matrix[sample]

    def record(iteration: int, seconds: float, _loss: float | None) -> None:
        loss = _als.calculate_loss(
            sampled,
            np.ascontiguousarray(model.user_factors[sample]),
            model.item_factors,
            config.regularization,
            num_threads=threads,
        )
        curve.seconds.append(seconds)
        curve.loss.append(float(loss))
        log.info("ALS iteration %d of %d: loss %.6f, %.2f s", iteration + 1, config.iterations, loss, seconds)

    # More BLAS threads are slower beside implicit's own, and change the order of sums from run to run.
    with threadpool_limits(1, "blas"):
        model.fit(matrix, show_progress=False, callback=record)
    return Als(model.user_factors, model.item_factors), curve


def _loss_sample(matrix: sparse.csr_matrix, seed: int) -> np.ndarray[Any, Any]:
    n_users = matrix.shape[0]
    size = min(n_users, max(LOSS_USERS, n_users // 50))
    return np.sort(np.random.default_rng(seed).choice(n_users, size, replace=False))


def needed_bytes(shape: tuple[int, int], nnz: int, factors: int) -> int:
    """Peak memory of a fit: the matrix, its transpose and a third copy meanwhile (8 bytes an entry), factors."""
    n_users, n_items = shape
    return nnz * 8 * 3 + (n_users + n_items) * (8 * 2 + factors * 4)


def check_memory(shape: tuple[int, int], nnz: int, factors: int) -> None:
    """Raise ConfigError when a fit cannot fit into the free memory."""
    needed, free = needed_bytes(shape, nnz, factors), free_bytes()
    log.info("ALS needs about %.2f GB, %.2f GB are free", needed / 1e9, free / 1e9)
    if needed > free:
        raise ConfigError(
            f"factors={factors}: training needs about {needed / 1e9:.1f} GB ({nnz:,} interactions x 24 bytes + "
            f"({shape[0]:,} users + {shape[1]:,} items) x {16 + factors * 4} bytes), but {free / 1e9:.1f} GB are free. "
            "Take fewer factors, raise the minimum counts, or use a larger machine."
        )


def free_bytes() -> int:
    """Memory this process may still take: what the machine has available, or what its control group leaves."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/proc/meminfo") as file:
            rows = dict(line.split(":", 1) for line in file)
        free = int(rows["MemAvailable"].split()[0]) * 1024
        with open("/sys/fs/cgroup/memory.max") as limit, open("/sys/fs/cgroup/memory.current") as used:
            free = min(free, int(limit.read()) - int(used.read()))
    except (OSError, ValueError, KeyError):
        pass
    return free


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
