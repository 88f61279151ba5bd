"""Whitened item factors: all that scoring from a history needs.

With A = Y'Y + lambda I = L L' and whitened items Y~ = Y L'^-1, the exact half-step of ALS for a history with rows S of
Y~, confidences c and D = diag(c - 1) is (I + S'DS) x~ = S'c, and the score of an item is x~ . y~. Lambda is absorbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .histories import Ints
from .protocol import Rows, Scores

Factors = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]

CHUNK_ITEMS = 4_096
# Of a float64. Integers up to 2^MANTISSA_BITS add up without rounding, in any order.
MANTISSA_BITS = 53
# A float32 keeps integers up to 2^24 exactly.
FLOAT32_BITS = 24
LEAST_EXPONENT = -400
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Grid:
    """Item vectors whose inner products with vectors of the same kind are exact.

    They are kept in an order in which those that may score high come first, so that `shortlist` can stop early.

    vectors : float32, shape (n_items, n_factors), each row on a grid of its own, without rounding; see `on_grid`
    order : int32, shape (n_items,), the item of each vector
    place : int32, shape (n_items,), the vector of each item
    """

    vectors: Factors
    order: Ints
    place: Ints

    @classmethod
    def by_id(cls, vectors: Factors) -> Grid:
        """Vectors in the order of the items."""
        order = np.arange(len(vectors), dtype=np.int32)
        return cls(vectors, order, order)

    def of(self, items: Rows) -> Doubles:
        """Vectors of some items, float64, shape (*items.shape, n_factors)."""
        return self.vectors[self.place[items]].astype(np.float64)

    def scores(self, tastes: Doubles) -> Scores:
        """Inner products of users and all items, float32, shape (n, n_items), in the order of the items.

        Exact before the one rounding to float32. A matrix product's last bits depend otherwise on its shape and on the
        place of a row in it: the same user would get other scores in another batch.

        Parameters
        ----------
        tastes : float64, shape (n, n_factors), on a grid
        """
        scores: Scores = np.empty((len(tastes), len(self.vectors)), dtype=np.float32)
        for start in range(0, len(self.vectors), CHUNK_ITEMS):
            span = slice(start, start + CHUNK_ITEMS)
            scores[:, self.order[span]] = tastes @ self.vectors[span].T.astype(np.float64)
        return scores

    def scores_of(self, tastes: Doubles, rows: Rows, items: Ints) -> Scores:
        """The same of pairs of users and items, float32, shape (n_pairs,), equal to the last bit."""
        scores: Scores = np.empty(len(items), dtype=np.float32)
        for start in range(0, len(items), CHUNK_ITEMS):
            span = slice(start, start + CHUNK_ITEMS)
            scores[span] = np.einsum("ij,ij->i", tastes[rows[span]], self.of(items[span]))
        return scores

    def upper(self, tastes: Factors, errors: Scores, out: Scores, start: int) -> None:
        """Write bounds of the exact scores of the vectors from `start` on, by a float32 product.

        Parameters
        ----------
        tastes : float32, shape (n, n_factors), on a grid
        errors : float32, shape (n,), see `errors`
        """
        np.matmul(tastes, self.vectors[start : start + out.shape[1]].T, out=out)
        out += errors[:, None]

    @cached_property
    def lengths(self) -> Doubles:
        """Of each vector, float64, shape (n_items,)."""
        found = np.empty(len(self.vectors))
        for start in range(0, len(found), CHUNK_ITEMS):
            rows = self.vectors[start : start + CHUNK_ITEMS].astype(np.float64)
            found[start : start + CHUNK_ITEMS] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        return found

    @cached_property
    def longest(self) -> float:
        """The length of the longest vector."""
        return float(self.lengths.max(initial=0.0))

    def errors(self, tastes: Doubles) -> Scores:
        """How far a float32 product may lie below the exact one, float32, shape (n,).

        Neither users nor items are rounded, so only the n_factors products and sums are: the error is at most
        n_factors * 2^-24 / (1 - n_factors * 2^-24) * |x~| |y~| (Higham 2002, eq. 3.5), whatever their order, and what
        underflows. Two more terms cover the rounding of the lengths.
        """
        terms = (tastes.shape[1] + 2) * 2.0**-24
        lengths = np.sqrt(np.einsum("ij,ij->i", tastes, tastes)) * max(1.0, self.longest)
        found = terms / (1 - terms) * lengths + tastes.shape[1] * TINY
        errors: Scores = np.nextafter(found.astype(np.float32), np.float32(np.inf))
        return errors


@dataclass(frozen=True)
class Whitened(Grid):
    """Items in coordinates in which the regularized Gram matrix is the identity.

    back : float64, shape (n_factors, n_factors); back @ x~ is x in the coordinates of the item factors
    spectrum : float64, shape (n_factors,), the diagonal of Y~'Y~, which is diagonal in these coordinates
    """

    back: Doubles
    spectrum: Doubles

    @classmethod
    def of_factors(cls, item_factors: Factors, regularization: float, weights: Scores | None = None) -> Whitened:
        """Whiten item factors, float32, shape (n_items, n_factors).

        Parameters
        ----------
        weights : float32, shape (n_items,), what scores will be multiplied by; None is 1. It decides on the order only
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # more threads would add in another order
            # The eigenvectors give L'^-1 up to a rotation, also if Y'Y is singular and Cholesky would fail.
            values, axes = np.linalg.eigh(_gram(item_factors))
            values = np.maximum(values, 0.0)
            back = axes / np.sqrt(values + regularization)
            vectors = np.empty(item_factors.shape, dtype=np.float32)
            lengths = np.empty(len(vectors))
            for start in range(0, len(vectors), CHUNK_ITEMS):
                span = slice(start, start + CHUNK_ITEMS)
                rows = on_grid(item_factors[span].astype(np.float64) @ back)
                vectors[span], lengths[span] = rows, np.einsum("ij,ij->i", rows, rows)
        reach = np.sqrt(lengths) * (1.0 if weights is None else weights)
        order = np.argsort(-reach, kind="stable").astype(np.int32)
        return cls(vectors[order], order, places(order), back, values / (values + regularization))

    def root_mean_squares(self, tastes: Doubles) -> Doubles:
        """Of the scores of each user over all items, float64, shape (n,), without the scores.

        The mean of (x~ . y~)^2 is x~'(Y~'Y~)x~ / n_items.
        """
        squares = np.square(tastes) * self.spectrum
        found: Doubles = np.sqrt(squares.sum(axis=1) / max(1, len(self.vectors)))
        return found


def places(order: Ints) -> Ints:
    """The place of each item in an order, int32, shape (n_items,)."""
    found = np.empty_like(order)
    found[order] = np.arange(len(order), dtype=np.int32)
    return found


def on_grid(rows: Doubles) -> Doubles:
    """Rows rounded to whole multiples of a power of two of each row, so that inner products of two rows are exact.

    Products of two integers below 2^bits add up to at most n_factors * 2^(2 bits), which must stay within a mantissa.
    From 17 to 64 factors that leaves 23 bits. More than `FLOAT32_BITS` are not taken, so a float32 keeps the rows.
    """
    bits = grid_bits(rows.shape[1])
    exponents = np.frexp(np.abs(rows).max(axis=1, initial=0.0))[1]
    quantum = np.ldexp(1.0, np.maximum(exponents, LEAST_EXPONENT) - bits)[:, None]
    rounded: Doubles = np.rint(rows / quantum) * quantum
    return rounded


def grid_bits(n_factors: int) -> int:
    """Bits of the integers in which `on_grid` writes a row of so many factors."""
    return min(FLOAT32_BITS, (MANTISSA_BITS - int(np.ceil(np.log2(n_factors)))) // 2)


def _gram(item_factors: Factors) -> Doubles:
    gram = np.zeros((item_factors.shape[1],) * 2)
    for start in range(0, len(item_factors), CHUNK_ITEMS):
        part = item_factors[start : start + CHUNK_ITEMS].astype(np.float64)
        gram += part.T @ part
    return gram


def suffix_max(values: np.ndarray[Any, Any]) -> Doubles:
    """The largest value from each chunk of CHUNK_ITEMS on, float64, shape (..., n_chunks)."""
    starts = np.arange(0, values.shape[-1], CHUNK_ITEMS)
    chunks = np.maximum.reduceat(values, starts, axis=-1).astype(np.float64)
    found: Doubles = np.maximum.accumulate(chunks[..., ::-1], axis=-1)[..., ::-1]
    return found
