"""Training of ALS for implicit feedback (Hu, Koren, Volinsky, 2008). The item factors are the model."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from ...config import TrainConfig
from ...errors import ConfigError, DataError
from ...progress import span
from ..memory import MatrixSize, check_memory
from ..whitening import Factors
from .solver import Diverged, Sweeps, solve

# Less is not worth an estimate.
SHORT_S = 10.0

log = logging.getLogger(__name__)


def initial_factors(n_items: int, config: TrainConfig) -> Factors:
    """Small random item factors for a cold start; float32, shape (n_items, n_factors)."""
    rng = np.random.default_rng(config.seed)
    return rng.random((n_items, config.factors), dtype=np.float32) * np.float32(0.01)


@dataclass
class TrainingCurve:
    """Per iteration: seconds, and the loss over a fixed sample of users."""

    n_iterations: int
    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)

    def record(self, seconds: float, loss: float) -> None:
        """Add an iteration, and log it with the time that remains."""
        self.seconds.append(seconds)
        self.loss.append(loss)
        done = len(self.loss)
        rest = (self.n_iterations - done) * float(np.median(self.seconds))
        log.info(
            "ALS iteration %d of %d: loss %.6f, %.2f s%s",
            done,
            self.n_iterations,
            loss,
            seconds,
            f", about {span(rest)} left" if rest > SHORT_S else "",
        )


def fit_als(
    matrix: sparse.csr_matrix,
    config: TrainConfig,
    *,
    start: Factors | None = None,
    threads: int = 0,
    exact: bool = False,
) -> tuple[Factors, TrainingCurve]:
    """Factorize a confidence matrix by the solver of the configuration.

    Parameters
    ----------
    matrix : float32 CSR, shape (n_users, n_items), values at least 1; absent entries are unknown
    start : initial item factors, in the columns of the matrix; the fit then runs `warm_iterations`
    threads : 0 uses all cores; the result does not depend on it
    exact : solve each row exactly, instead of long rows by three steps of conjugate gradients; slower

    Returns
    -------
    item factors, float32, shape (n_items, n_factors), and the training curve

    Raises
    ------
    ConfigError
        The fit needs more than the free memory (the message has the arithmetic), or it diverged.
    DataError
        The matrix is empty, names a pair twice, or has a value below 1, which would count less than an unknown item.
    """
    checked = _checked(matrix)
    iterations = config.iterations if start is None else config.warm_iterations
    log.info(
        "ALS by the solver %s: %d factors, %s users x %s items, %s interactions",
        config.solver,
        config.factors,
        *(f"{n:,}" for n in (*checked.shape, checked.nnz)),
    )
    check_memory(MatrixSize.of(checked), config, warm=start is not None)
    curve = TrainingCurve(iterations)
    sweeps = Sweeps(iterations, threads, exact, curve.record)
    try:
        if config.solver == "implicit":
            from .reference import solve_by_implicit

            return solve_by_implicit(checked, start, config, sweeps), curve
        first = initial_factors(matrix.shape[1], config) if start is None else start
        return solve(checked, first, config, sweeps), curve
    except Diverged as error:
        raise ConfigError(
            f"ALS diverged with factors={config.factors}, regularization={config.regularization:g}: factors are no "
            "longer finite. Raise regularization, or lower alpha."
        ) from error


def _checked(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """The matrix with sorted indices."""
    if matrix.nnz == 0:
        raise DataError(f"The confidence matrix of shape {matrix.shape} holds no interaction: there is nothing to fit.")
    lowest = float(matrix.data.min())
    if not lowest >= 1:
        raise DataError(f"A confidence is {lowest:g}; expected 1 + alpha * weight, at least 1, for every interaction.")
    ordered = matrix if matrix.has_sorted_indices else matrix.sorted_indices()
    if not ordered.has_canonical_format:
        raise DataError("The confidence matrix names a pair of user and item twice; expected each at most once.")
    return ordered
