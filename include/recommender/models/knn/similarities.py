"""The nearest neighbours of each item, and what they say about other items for a history."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from ...errors import DataError
from ..histories import Histories, Ints
from ..protocol import Doubles, Scores

Longs = np.ndarray[Any, np.dtype[np.int64]]

# Entries that are held at once: of a check, about 25 bytes each; of the product of histories and similarities, until
# they are merged, about 30 bytes each. A row that has more is held whole.
HELD_ENTRIES = 250_000
ARRAYS = ("indptr", "neighbours", "values")


@dataclass(frozen=True)
class Similarities:
    """Similarities of items to their nearest neighbours, CSR, without the items themselves.

    indptr : int64, shape (n_items + 1,)
    neighbours : int32, shape (n_entries,), ascending within an item
    values : float32, shape (n_entries,), finite and above 0
    """

    indptr: Longs
    neighbours: Ints
    values: Scores

    @property
    def n_items(self) -> int:
        """Items that have neighbours or none."""
        return len(self.indptr) - 1

    @property
    def matrix(self) -> sparse.csr_matrix:
        """float32, shape (n_items, n_items)."""
        parts = (self.values, self.neighbours, self.indptr)
        return sparse.csr_matrix(parts, shape=(self.n_items, self.n_items), copy=False)

    @classmethod
    def of(cls, matrix: sparse.coo_matrix | sparse.csr_matrix) -> Similarities:
        """The entries above 0 of a square matrix, off the diagonal."""
        given = sparse.coo_matrix(matrix)
        values = given.data.astype(np.float32)
        kept = np.flatnonzero((values > 0) & (given.row != given.col))
        found = sparse.csr_matrix((values[kept], (given.row[kept], given.col[kept])), shape=given.shape)
        found.sort_indices()
        return cls(found.indptr.astype(np.int64), found.indices.astype(np.int32, copy=False), found.data)

    def check(self, n_items: int, where: str) -> None:
        """Raise DataError if this is no matrix of so many items.

        Parameters
        ----------
        where : what the names of its files begin with, for the message
        """
        problem = self._problem(n_items)
        if problem:
            name, text = problem
            raise DataError(f"{where}{name}.npy: {text}")

    def _problem(self, n_items: int) -> tuple[str, str] | None:
        """The array that is wrong, and how."""
        indptr, neighbours = self.indptr, self.neighbours
        if self.n_items != n_items:
            return "indptr", f"similarities of {self.n_items:,} items, expected {n_items:,}"
        if indptr[0] != 0 or indptr[-1] != len(neighbours) or (np.diff(indptr) < 0).any():
            return "indptr", f"does not ascend from 0 to {len(neighbours):,}, the number of neighbours"
        if len(self.values) != len(neighbours):
            return "values", f"{len(self.values):,} similarities, expected {len(neighbours):,}"
        if not len(neighbours):
            return None
        # An array with a value that is not a number has it as minimum and maximum.
        if not 0 < self.values.min() <= self.values.max() < np.inf:
            return "values", "holds similarities that are not above 0 and finite"
        if neighbours.min() < 0 or neighbours.max() >= n_items:
            return "neighbours", f"holds {neighbours.min()} to {neighbours.max()}, expected 0 to {n_items - 1}"
        for start, stop in _groups(indptr):
            owners = np.repeat(np.arange(start, stop), np.diff(indptr[start : stop + 1]))
            found = neighbours[indptr[start] : indptr[stop]]
            if (np.diff(owners * n_items + found) <= 0).any():
                return "neighbours", "does not ascend within an item"
            if (owners == found).any():
                return "neighbours", "holds an item that is its own neighbour"
        return None

    def scores(self, histories: Histories) -> sparse.csr_matrix:
        """Sum over a history of confidence times similarity, float64 CSR, shape (len(histories), n_items).

        Entries ascend by item. A row is summed in the order of the history alone, so it does not depend on the other
        rows, to the last bit. Rows are summed in groups, so memory is bounded; see `HELD_ENTRIES`.
        """
        sizes = self.indptr[histories.items + 1] - self.indptr[histories.items]
        ends = np.concatenate([[0], np.cumsum(sizes)])[histories.indptr]
        groups = [self._sums(histories.take(np.arange(start, stop))) for start, stop in _groups(ends)]
        if len(groups) == 1:
            return groups[0]
        return sparse.vstack(groups, "csr") if groups else sparse.csr_matrix((0, self.n_items))

    def _sums(self, histories: Histories) -> sparse.csr_matrix:
        """The product of histories and the rows of their items, which scipy adds one by one in the order of a row."""
        starts = self.indptr[histories.items]
        sizes = self.indptr[histories.items + 1] - starts
        ends = np.cumsum(sizes)
        at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + sizes, sizes)
        n, entries = len(histories.items), (self.values[at].astype(np.float64), self.neighbours[at])
        known = histories.confidence.astype(np.float64), np.arange(n, dtype=np.int32)
        rows = sparse.csr_matrix((*known, histories.indptr), shape=(len(histories), n), copy=False)
        found: sparse.csr_matrix = rows @ sparse.csr_matrix(
            (*entries, np.concatenate([[0], ends])), shape=(n, self.n_items), copy=False
        )
        found.sort_indices()
        return found

    def to(self, items: Ints, item: int) -> Doubles:
        """Similarities of some items to one, float64, of the shape of `items`; 0 where it is no neighbour."""
        found = np.zeros(len(items))
        for at, each in enumerate(items.tolist()):
            span = slice(*self.indptr[each : each + 2])
            place = int(np.searchsorted(self.neighbours[span], item))
            if place < span.stop - span.start and self.neighbours[span][place] == item:
                found[at] = self.values[span][place]
        return found


def _groups(indptr: Longs) -> list[tuple[int, int]]:
    """Spans of rows, in order, of at most HELD_ENTRIES entries, or of one row."""
    bounds = [0]
    while bounds[-1] < len(indptr) - 1:
        fitting = np.searchsorted(indptr, indptr[bounds[-1]] + HELD_ENTRIES, side="right") - 1
        bounds.append(max(bounds[-1] + 1, int(fitting)))
    return list(pairwise(bounds))


def root_mean_squares(scores: sparse.csr_matrix) -> Doubles:
    """Of each row over all items, float64, shape (n,)."""
    sums, filled = np.zeros(scores.shape[0]), np.flatnonzero(np.diff(scores.indptr))
    if len(filled):  # each row by itself: a running sum over all rows would round differently in another batch
        sums[filled] = np.add.reduceat(np.square(scores.data), scores.indptr[filled])
    found: Doubles = np.sqrt(sums / max(1, scores.shape[1]))
    return found
