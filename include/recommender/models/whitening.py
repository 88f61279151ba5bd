"""Whitened item factors: all that scoring from a history needs.

With A = Y'Y + lambda I = L L' and whitened items Y~ = Y L'^-1, the exact half-step of ALS for a history with rows S of
Y~, confidences c and D = diag(c - 1) is (I + S'DS) x~ = S'c, and the score of an item is x~ . y~. Lambda is absorbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .protocol import Scores

Factors = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]

CHUNK_ITEMS = 4_096
# Of a float64. Integers up to 2^MANTISSA_BITS add up without rounding, in any order.
MANTISSA_BITS = 53
LEAST_EXPONENT = -400


@dataclass(frozen=True)
class Whitened:
    """Items in coordinates in which the regularized Gram matrix is the identity.

    items : float64, shape (n_items, n_factors), each row on a grid of its own; see `on_grid`
    norms : float64, shape (n_items,), squared length of each row, below 1
    back : float64, shape (n_factors, n_factors); back @ x~ is x in the coordinates of the item factors
    """

    items: Doubles
    norms: Doubles
    back: Doubles

    @classmethod
    def of(cls, item_factors: Factors, regularization: float) -> Whitened:
        """Whiten item factors, float32, shape (n_items, n_factors)."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # more threads would add in another order
            # The eigenvectors give L'^-1 up to a rotation, also if Y'Y is singular and Cholesky would fail.
            values, vectors = np.linalg.eigh(_gram(item_factors))
            back = vectors / np.sqrt(np.maximum(values, 0.0) + regularization)
            items = np.empty(item_factors.shape)
            for start in range(0, len(items), CHUNK_ITEMS):
                span = slice(start, start + CHUNK_ITEMS)
                items[span] = on_grid(item_factors[span].astype(np.float64) @ back)
        return cls(items, np.einsum("ij,ij->i", items, items), back)

    def scores(self, tastes: Doubles) -> Scores:
        """Inner products of users and all items, float32, shape (n, n_items).

        Exact before the one rounding to float32. A matrix product's last bits depend otherwise on its shape and on the
        place of a row in it: the same user would get other scores in another batch.

        Parameters
        ----------
        tastes : float64, shape (n, n_factors), on a grid
        """
        scores: Scores = np.empty((len(tastes), len(self.items)), dtype=np.float32)
        for start in range(0, len(self.items), CHUNK_ITEMS):
            span = slice(start, start + CHUNK_ITEMS)
            scores[:, span] = tastes @ self.items[span].T
        return scores


def on_grid(rows: Doubles) -> Doubles:
    """Rows rounded to whole multiples of a power of two of each row, so that inner products of two rows are exact.

    Products of two integers below 2^bits add up to at most n_factors * 2^(2 bits), which must stay within a mantissa.
    At 64 factors that leaves 23 bits, as many as float32 keeps.
    """
    bits = (MANTISSA_BITS - int(np.ceil(np.log2(rows.shape[1])))) // 2
    exponents = np.frexp(np.abs(rows).max(axis=1, initial=0.0))[1]
    quantum = np.ldexp(1.0, np.maximum(exponents, LEAST_EXPONENT) - bits)[:, None]
    rounded: Doubles = np.rint(rows / quantum) * quantum
    return rounded


def _gram(item_factors: Factors) -> Doubles:
    gram = np.zeros((item_factors.shape[1],) * 2)
    for start in range(0, len(item_factors), CHUNK_ITEMS):
        part = item_factors[start : start + CHUNK_ITEMS].astype(np.float64)
        gram += part.T @ part
    return gram
