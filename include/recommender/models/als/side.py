"""One side of the alternation: the users or the items, in blocks that all cores share.

The blocks depend on the matrix alone, and what they add up is added in their order. So the result does not depend on
the number of cores.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from ..whitening import Doubles, Factors

# Work of a block: its interactions, and so many for each row.
ROW_WORK, BLOCK_WORK = 16, 65_536


@dataclass(frozen=True)
class Side:
    """Users or items, with their factors.

    csr : indptr, columns and confidence; int64, int32, float32
    factors : float32, shape (n_rows, n_factors); they are overwritten
    """

    csr: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]
    factors: Factors

    @classmethod
    def of(cls, matrix: sparse.csr_matrix, factors: Factors) -> Side:
        """The rows of a matrix."""
        indices = matrix.indices.astype(np.int32, copy=False)
        return cls((matrix.indptr.astype(np.int64), indices, matrix.data.astype(np.float32, copy=False)), factors)

    def __len__(self) -> int:
        return len(self.factors)

    @cached_property
    def blocks(self) -> list[slice]:
        """Stretches of rows of about equal work."""
        indptr = self.csr[0]
        work = indptr + ROW_WORK * np.arange(len(indptr))
        inner = np.searchsorted(work, np.arange(BLOCK_WORK, work[-1], BLOCK_WORK))
        cuts = np.unique(np.concatenate([[0], inner, [len(self)]])).tolist()
        return [slice(start, stop) for start, stop in itertools.pairwise(cuts)]

    def total(self, pool: Executor, work: Callable[[slice], Doubles]) -> Doubles:
        """The sum of what `work` gives for each block, float64, shape (n_factors, n_factors), in their order."""
        found = np.zeros((self.factors.shape[1],) * 2)
        # One at a time: of many factors all Gram matrices together would be larger than the factors.
        for part in pool.map(work, self.blocks):
            found += part
        return found

    def gram(self, pool: Executor) -> Doubles:
        """Y'Y, float64, shape (n_factors, n_factors)."""
        return self.total(pool, lambda block: gram_of(self.factors[block]))

    def multiply(self, pool: Executor, by: Doubles) -> None:
        """Replace the factors Y by Y B."""
        short = by.astype(np.float32)

        def work(block: slice) -> None:
            self.factors[block] = self.factors[block] @ short

        deque(pool.map(work, self.blocks), maxlen=0)


def gram_of(vectors: Factors) -> Doubles:
    """V'V of a block, float64, added up in float32; infinite where that overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: Doubles = np.dot(vectors.T, vectors).astype(np.float64)
    return found
