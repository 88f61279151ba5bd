"""ALS for long tails: whitened coordinates, exact solutions of short rows, users with one interaction in their item.

With A = Y'Y + lambda I = L L' and whitened items Y~ = Y L'^-1, a user's problem is (I + S'DS) x~ = S'c, with S the rows
of Y~ of the user's items, and x = L'^-1 x~; see `kernels`. With B = X'X + lambda I = M M', the items' problems are the
same over the whitened users X^ = X~ L^-1 M'^-1: one matrix product. So X and Y are never written in coordinates of
their own before the end. The Gram matrix of X is L'^-1 (X~'X~) L^-1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ...config import TrainConfig
from ..cores import n_cores
from ..whitening import Doubles, Factors
from .loss import Sides, loss_of, loss_sample
from .side import Side, gram_of
from .singles import Shared, Singles, single_tastes

STEPS = 3
# Users start from nothing: they are not kept between trainings.
FIRST_STEPS = 10
EXACT_STEPS = 1_000


@dataclass(frozen=True)
class Sweeps:
    """How a solver runs.

    threads : 0 is one for each core
    exact : solve long rows until they no longer change
    record : called with the seconds and the loss of each iteration
    """

    iterations: int
    threads: int
    exact: bool
    record: Callable[[float, float], None]


class Diverged(ArithmeticError):
    """Factors are no longer finite."""


@dataclass(frozen=True)
class Root:
    """L with L L' = G + lambda I, and back = L'^-1; float64, shape (n_factors, n_factors)."""

    left: Doubles
    back: Doubles

    @classmethod
    def of(cls, gram: Doubles, regularization: float) -> Root:
        """From eigenvectors, which a singular Gram matrix has too. Raises Diverged."""
        if not np.isfinite(gram).all():
            raise Diverged
        values, axes = np.linalg.eigh(gram)
        scale = np.sqrt(np.maximum(values, 0.0) + regularization)
        return cls(axes * scale, axes / scale)


@dataclass(frozen=True)
class Sample:
    """The users of the loss: their interactions, and where their factors are.

    rows : int64, shape (n_sampled,), rows of those with two interactions or more, else -1
    single : positions in the sample of those with one interaction
    """

    matrix: sparse.csr_matrix
    rows: np.ndarray[Any, np.dtype[np.int64]]
    single: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of(cls, matrix: sparse.csr_matrix, several: np.ndarray[Any, Any], seed: int) -> Sample:
        """Drawn by a seed; `several` are the users with two interactions or more, ascending."""
        users = loss_sample(matrix.shape[0], seed)
        sampled = matrix[users]
        sizes = np.diff(sampled.indptr)
        rows = np.where(sizes > 1, np.searchsorted(several, users), -1)
        return cls(sampled, rows, np.flatnonzero(sizes == 1))

    def tastes(self, users: Factors, items: Factors, turn: Doubles) -> Factors:
        """Factors of the sampled users, float32, in the coordinates of `users`; `turn` takes those of `items` there."""
        found = np.zeros((len(self.rows), users.shape[1]), dtype=np.float32)
        kept = np.flatnonzero(self.rows >= 0)
        found[kept] = users[self.rows[kept]]
        at = self.matrix.indptr[self.single]
        singles = single_tastes(items[self.matrix.indices[at]], self.matrix.data[at])
        found[self.single] = singles @ turn.astype(np.float32)
        return found


class Alternation:
    """The state of a training: users in the coordinates of `_user_root`, whitened items in those of `_item_root`."""

    def __init__(self, matrix: sparse.csr_matrix, start: Factors, config: TrainConfig, pool: Executor) -> None:
        sizes = np.diff(matrix.indptr)
        several = np.flatnonzero(sizes > 1)
        multiple = matrix if len(several) == matrix.shape[0] else matrix[several]
        self._sample = Sample.of(matrix, several, config.seed)
        self._singles = Singles.of(matrix, np.flatnonzero(sizes == 1))
        self._users = Side.of(multiple, np.zeros((len(several), start.shape[1]), dtype=np.float32))
        self._items = Side.of(multiple.T.tocsr(), start.copy())
        self._n_users = matrix.shape[0]
        self._regularization, self._pool = config.regularization, pool
        self._item_root = self._root(self._items.gram(pool))
        self._items.multiply(pool, self._item_root.back)
        self._user_root: Root | None = None

    def _root(self, gram: Doubles) -> Root:
        return Root.of(gram, self._regularization)

    def iterate(self, steps: int, is_last: bool) -> float:
        """Solve for all users, then for all items; return the loss. Raises Diverged.

        Parameters
        ----------
        is_last : then the items are left in coordinates of their own
        """
        shared = self._singles.share(self._items, self._pool)
        root = self._solve_users(steps, shared)
        turn = self._item_root.back.T @ root.back
        self._users.multiply(self._pool, turn)
        tastes = self._sample.tastes(self._users.factors, self._items.factors, turn)
        gram = self._solve_items(steps, shared, root, turn)
        own = root.back @ gram @ root.back.T
        sides = Sides(
            users=tastes,
            items=self._items.factors,
            item_gram=gram,
            user_squares=float(np.square(tastes @ root.left.T.astype(np.float32), dtype=np.float64).sum()),
            item_squares=float(np.trace(own)),
        )
        loss = loss_of(self._sample.matrix, sides, self._regularization, self._n_users)
        self._user_root, self._item_root = root, self._root(own)
        self._items.multiply(self._pool, root.back.T if is_last else root.back.T @ self._item_root.back)
        return loss

    @property
    def item_factors(self) -> Factors:
        """Of the items in their own coordinates, after the last iteration; float32, shape (n_items, n_factors)."""
        return self._items.factors

    def _solve_users(self, steps: int, shared: Shared) -> Root:
        """Replace the users by whitened ones; return the root of their Gram matrix."""
        from .kernels import EXACT_UP_TO, solve_rows

        users, known, nobody = self._users, self._items.factors, (self._items.factors[:0], shared.weight, shared.target)
        long = np.diff(users.csr[0]) > EXACT_UP_TO
        turn = None if self._user_root is None else (self._user_root.left.T @ self._item_root.left).astype(np.float32)

        def work(block: slice) -> Doubles:
            own = users.factors[block]
            if turn is not None:
                own[long[block]] = own[long[block]] @ turn
            solve_rows(users.csr, known, (block.start, block.stop), own, nobody, steps)
            return gram_of(own)

        gram = shared.gram + users.total(self._pool, work)
        return self._root(self._item_root.back @ gram @ self._item_root.back.T)

    def _solve_items(self, steps: int, shared: Shared, root: Root, turn: Doubles) -> Doubles:
        """Replace the items by those in the coordinates of the users' root; return their Gram matrix there."""
        from .kernels import solve_rows

        items, known = self._items, self._users.factors
        own_turn, shared_turn = (self._item_root.left.T @ root.left).astype(np.float32), turn.astype(np.float32)

        def work(block: slice) -> Doubles:
            own = items.factors[block]
            vectors = own @ shared_turn
            own[:] = own @ own_turn
            with_shared = (vectors, shared.weight, shared.target)
            solve_rows(items.csr, known, (block.start, block.stop), own, with_shared, steps)
            return gram_of(own)

        return items.total(self._pool, work)


def solve(matrix: sparse.csr_matrix, start: Factors, config: TrainConfig, sweeps: Sweeps) -> Factors:
    """Train item factors, float32, shape (n_items, n_factors). Raises Diverged.

    Parameters
    ----------
    matrix : confidences, float32 CSR with sorted indices; each pair at most once
    start : initial item factors, float32, shape (n_items, n_factors)
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(sweeps.threads or n_cores()) as pool:
        began = time.perf_counter()
        state = Alternation(matrix, start, config, pool)
        for iteration in range(sweeps.iterations):
            steps = EXACT_STEPS if sweeps.exact else FIRST_STEPS if iteration == 0 else STEPS
            loss = state.iterate(steps, is_last=iteration == sweeps.iterations - 1)
            sweeps.record(time.perf_counter() - began, loss)
            began = time.perf_counter()
    return state.item_factors
