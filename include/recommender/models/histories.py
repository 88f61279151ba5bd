"""Histories: the interactions of users. A model scores from them, so it stores no users."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from ..errors import DataError

Ints = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class Histories:
    """The items that each of n users has interacted with, as CSR.

    indptr : int64, shape (n + 1,)
    items : int32, shape (n_entries,), in the columns of the model; ascending within a history, so each at most once
    confidence : float32, shape (n_entries,), at least 1; see `confidences`
    n_items : columns of the model
    check : False for arrays that follow from checked ones

    Raises
    ------
    DataError
        A history names an item twice, out of order or beyond the columns, or a confidence is below 1 or not finite.
    """

    indptr: np.ndarray[Any, np.dtype[np.int64]]
    items: Ints
    confidence: np.ndarray[Any, np.dtype[np.float32]]
    n_items: int
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        items, confidence = self.items, self.confidence
        if not check or len(items) == 0:
            return
        if items.min() < 0 or items.max() >= self.n_items:
            raise DataError(f"A history names item {items.max()} or {items.min()}; expected 0 to {self.n_items - 1}.")
        within = np.ones(len(items), dtype=bool)
        within[self.indptr[:-1][self.sizes > 0]] = False
        wrong = np.flatnonzero(within[1:] & (items[1:] <= items[:-1]))
        if len(wrong):
            at = int(wrong[0]) + 1
            row = int(np.searchsorted(self.indptr, at, side="right")) - 1
            raise DataError(
                f"History {row} names item {items[at]} after item {items[at - 1]}; expected ascending, each once."
            )
        if not (confidence.min() >= 1 and np.isfinite(confidence.max())):
            raise DataError(
                f"A confidence of a history is {confidence.min():g} or {confidence.max():g}; expected 1 + alpha * "
                "weight, at least 1 and finite."
            )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @classmethod
    def of(cls, matrix: sparse.csr_matrix) -> Histories:
        """The rows of a confidence matrix, shape (n, n_items); the order of its entries does not matter."""
        ordered = matrix if matrix.has_sorted_indices else matrix.sorted_indices()
        return cls(
            ordered.indptr.astype(np.int64),
            ordered.indices.astype(np.int32, copy=False),
            ordered.data.astype(np.float32, copy=False),
            ordered.shape[1],
        )

    @cached_property
    def sizes(self) -> Ints:
        """Interactions of each user, int32, shape (n,)."""
        return np.diff(self.indptr).astype(np.int32)

    @property
    def rows(self) -> Ints:
        """The user of each entry, int32, shape (n_entries,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)

    @property
    def matrix(self) -> sparse.csr_matrix:
        """Confidence, float32, shape (n, n_items)."""
        return sparse.csr_matrix((self.confidence, self.items, self.indptr), shape=(len(self), self.n_items))

    def take(self, rows: np.ndarray[Any, Any]) -> Histories:
        """The histories of some users, in the order of `rows`."""
        starts, sizes = self.indptr[rows], np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(sizes)])
        at = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], sizes)
        return Histories(indptr, self.items[at], self.confidence[at], self.n_items, check=False)
