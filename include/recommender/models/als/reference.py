"""The solver of the `implicit` library: the reference of `solver`, and selectable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from ...config import TrainConfig
from ..histories import Histories
from ..whitening import Factors, Whitened
from .fold_in import fold_in
from .loss import Sides, loss_of, loss_sample
from .solver import Diverged, Sweeps

CHUNK_USERS = 8_192


def solve_by_implicit(matrix: sparse.csr_matrix, start: Factors | None, config: TrainConfig, sweeps: Sweeps) -> Factors:
    """Like `solver.solve`; None starts from the factors that implicit draws.

    implicit wants the arrays of the matrix writable, though it does not write.
    """
    # implicit starts OpenMP threads, which do not survive a fork: import it in the process that fits.
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.recommender_base import ModelFitError
    from threadpoolctl import threadpool_limits

    # More BLAS threads are slower beside implicit's own, and change the order of sums from run to run.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            iterations=sweeps.iterations,
            random_state=config.seed,
            num_threads=sweeps.threads,
            use_cg=not sweeps.exact,
        )
        if start is not None:
            model.user_factors = user_factors(matrix, start, config.regularization)
            model.item_factors = start.copy()
        try:
            model.fit(matrix, show_progress=False, callback=_callback(model, matrix, config, sweeps))
        except ModelFitError as error:
            raise Diverged from error
    factors: Factors = model.item_factors
    return factors


def _callback(
    model: Any, matrix: sparse.csr_matrix, config: TrainConfig, sweeps: Sweeps
) -> Callable[[int, float, float | None], None]:
    sample = loss_sample(matrix.shape[0], config.seed)
    sampled = matrix[sample]

    def report(_iteration: int, seconds: float, _loss: float | None) -> None:
        sides = Sides.of(model.user_factors[sample], model.item_factors)
        sweeps.record(seconds, loss_of(sampled, sides, config.regularization, matrix.shape[0]))

    return report


def user_factors(matrix: sparse.csr_matrix, item_factors: Factors, regularization: float) -> Factors:
    """The users' side of a half-step, exact: float32, shape (n_users, n_factors), in the items' coordinates."""
    from threadpoolctl import threadpool_limits

    whitened, histories = Whitened.of_factors(item_factors, regularization), Histories.of(matrix)
    found = np.empty((len(histories), item_factors.shape[1]), dtype=np.float32)
    with threadpool_limits(1, "blas"):
        for start in range(0, len(found), CHUNK_USERS):
            rows = np.arange(start, min(start + CHUNK_USERS, len(found)))
            found[rows] = fold_in(histories.take(rows), whitened) @ whitened.back.T
    return found
