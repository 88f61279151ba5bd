"""Alternating least squares for implicit feedback (Hu, Koren, Volinsky, 2008), through the `implicit` library."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from ..config import TrainConfig
from ..errors import ConfigError, DataError
from .fold_in import fold_in
from .histories import Histories, Ints
from .memory import check_memory
from .protocol import Rows, Scores
from .whitening import TINY, Doubles, Factors, Grid, Whitened, suffix_max

log = logging.getLogger(__name__)

LOSS_USERS = 2_000
CHUNK_USERS = 8_192
SLACK = 2.0**-20


@dataclass(frozen=True)
class Als:
    """Taste: the score of an item for a history is the inner product of the folded-in history and the item."""

    whitened: Whitened

    @classmethod
    def of(cls, item_factors: Factors, regularization: float, weights: Scores | None = None) -> Als:
        """The model of item factors, float32, shape (n_items, n_factors); weights : see `Whitened.of_factors`."""
        return cls(Whitened.of_factors(item_factors, regularization, weights))

    def score(self, histories: Histories) -> Scores:
        """Inner products, float32, shape (len(histories), n_items); 0 for an empty history."""
        return self.whitened.scores(fold_in(histories, self.whitened))

    def scoring(self, histories: Histories) -> AlsScoring:
        """What is computed once for some histories."""
        return AlsScoring(self.whitened, fold_in(histories, self.whitened))


@dataclass(frozen=True)
class AlsScoring:
    """Tastes of some users, float64, shape (n, n_factors), on the grid of `on_grid`, and the items that they meet."""

    grid: Grid
    tastes: Doubles

    def upper(self, start: int, out: Scores) -> None:
        """See `Scoring`."""
        self.grid.upper(self.short_tastes, self.errors, out, start)

    @cached_property
    def short_tastes(self) -> Factors:
        """The tastes as float32, which keeps them exactly."""
        return self.tastes.astype(np.float32)

    @cached_property
    def errors(self) -> Scores:
        """See `Grid.errors`."""
        return self.grid.errors(self.tastes)

    @property
    def order(self) -> Ints:
        """See `Scoring`."""
        return self.grid.order

    @property
    def place(self) -> Ints:
        """See `Scoring`."""
        return self.grid.place

    def limits(self) -> Doubles:
        """See `Scoring`: |x~| |y~| at most (Cauchy-Schwarz)."""
        return self.reach[:, None] * suffix_max(self.grid.lengths)

    @property
    def reach(self) -> Doubles:
        """|x~|, a little rounded up, float64, shape (n,)."""
        found: Doubles = np.sqrt(np.einsum("ij,ij->i", self.tastes, self.tastes)) * (1 + 1e-6)
        return found

    def exact(self, rows: Rows, items: Ints) -> Scores:
        """See `Scoring`."""
        return self.grid.scores_of(self.tastes, rows, items)

    def follows(self, rows: Rows, leaders: Rows, floors: Doubles) -> Doubles:
        """See `Scoring`: with x = r x_l + d, x . y is r (x_l . y) + d . y, and |d . y| is at most |d| |y|.

        SLACK covers the roundings of both scores to float32, and those of this function.
        """
        own, leading = self.tastes[rows], self.tastes[leaders]
        square = np.einsum("ij,ij->i", leading, leading)
        ratio = np.einsum("ij,ij->i", own, leading) / np.where(square > 0, square, np.nan)
        apart = own - ratio[:, None] * leading
        away = np.sqrt(np.einsum("ij,ij->i", apart, apart)) * self.grid.longest
        limit = ratio * (floors + np.abs(floors) * SLACK) + away * (1 + SLACK)
        found: Doubles = np.where(ratio > 0, limit + np.abs(limit) * SLACK + TINY, np.inf)
        return found


@dataclass(frozen=True)
class KeptScoring(AlsScoring):
    """The same with all bounds, float32, shape (n, n_items), which are used with several priors."""

    bounds: Scores

    @classmethod
    def of(cls, scoring: AlsScoring) -> KeptScoring:
        """Compute them, once."""
        bounds: Scores = np.empty((len(scoring.tastes), len(scoring.grid.vectors)), dtype=np.float32)
        scoring.upper(0, bounds)
        return cls(scoring.grid, scoring.tastes, bounds)

    def upper(self, start: int, out: Scores) -> None:
        """See `Scoring`."""
        out[:] = self.bounds[:, start : start + out.shape[1]]


def initial_factors(n_items: int, config: TrainConfig) -> Factors:
    """Small random item factors for a cold start; float32, shape (n_items, n_factors)."""
    rng = np.random.default_rng(config.seed)
    return rng.random((n_items, config.factors), dtype=np.float32) * np.float32(0.01)


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


@dataclass
class TrainingCurve:
    """Per iteration: seconds, and the loss over a fixed sample of at most LOSS_USERS users."""

    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)


def fit_als(
    matrix: sparse.csr_matrix,
    config: TrainConfig,
    *,
    start: Factors | None = None,
    threads: int = 0,
    exact: bool = False,
) -> tuple[Factors, TrainingCurve]:
    """Factorize a confidence matrix; the item factors are the model.

    Parameters
    ----------
    matrix : float32 CSR, shape (n_users, n_items), values at least 1; absent entries are unknown. implicit wants
        its arrays writable, though it does not write
    start : initial item factors, in the columns of the matrix; the fit then runs `warm_iterations`
    threads : 0 uses all cores; the result does not depend on it
    exact : solve each row by Cholesky instead of three steps of conjugate gradients (Takacs et al. 2011), about twice
        as slow

    Returns
    -------
    item factors, float32, shape (n_items, n_factors), and the training curve

    Raises
    ------
    ConfigError
        The fit needs more than the free memory (the message has the arithmetic), or it diverged.
    DataError
        The matrix is empty, or has a value below 1, which would count less than an unknown item.
    """
    _check_matrix(matrix)
    check_memory(matrix.shape, matrix.nnz, config.factors, warm=start is not None)
    # implicit starts OpenMP threads, which do not survive a fork: import it in the process that fits.
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.recommender_base import ModelFitError
    from threadpoolctl import threadpool_limits

    # More BLAS threads are slower beside implicit's own, and change the order of sums from run to run.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            iterations=config.iterations if start is None else config.warm_iterations,
            random_state=config.seed,
            num_threads=threads,
            use_cg=not exact,
        )
        if start is not None:
            model.user_factors = user_factors(matrix, start, config.regularization)
            model.item_factors = start.copy()
        curve = TrainingCurve()
        try:
            model.fit(matrix, show_progress=False, callback=_recorder(model, matrix, config, curve))
        except ModelFitError as error:
            raise ConfigError(
                f"ALS diverged with factors={config.factors}, regularization={config.regularization:g}: {error}. "
                "Raise regularization, or lower alpha."
            ) from error
    factors: Factors = model.item_factors
    return factors, curve


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
