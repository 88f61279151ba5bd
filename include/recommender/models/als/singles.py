"""Users with one interaction, who have no row of their own while item factors are trained."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..whitening import Doubles, Factors
from .side import Side, gram_of


@dataclass(frozen=True)
class Shared:
    """What they are in the problem of their item: one interaction; float64, shape (n_items,) each.

    mass : what they add to the Gram matrix of the users, times the outer product of the item
    """

    weight: Doubles
    target: Doubles
    mass: Doubles
    gram: Doubles


@dataclass(frozen=True)
class Singles:
    """By item: indptr, int64, shape (n_items + 1,), and confidence, float32."""

    indptr: np.ndarray[Any, np.dtype[np.int64]]
    confidence: np.ndarray[Any, np.dtype[np.float32]]

    @classmethod
    def of(cls, matrix: sparse.csr_matrix, users: np.ndarray[Any, Any]) -> Singles:
        """The given rows of a matrix; each has one interaction."""
        at = matrix.indptr[users]
        items = matrix.indices[at]
        counts = np.bincount(items, minlength=matrix.shape[1])
        order = np.argsort(items, kind="stable")
        return cls(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), matrix.data[at][order])

    def share(self, items: Side, pool: Executor) -> Shared:
        """See `kernels.share_singles`; `items` are whitened."""
        from .kernels import share_singles

        weight, target, mass = (np.zeros(len(items)) for _ in range(3))

        def work(block: slice) -> Doubles:
            span, into = (block.start, block.stop), (weight, target, mass)
            share_singles(self.indptr, self.confidence, items.factors, span, into)
            scale = np.sqrt(mass[block]).astype(np.float32)
            return gram_of(items.factors[block] * scale[:, None])

        return Shared(weight, target, mass, items.total(pool, work))


def single_tastes(items: Factors, confidence: np.ndarray[Any, Any]) -> Factors:
    """x = c / (1 + (c - 1) |y|^2) y of users with one interaction, from its whitened item; float32, as `items`."""
    squares = np.einsum("ij,ij->i", items, items, dtype=np.float64)
    c = confidence.astype(np.float64)
    found: Factors = (items * (c / (1.0 + (c - 1.0) * squares))[:, None]).astype(np.float32)
    return found
