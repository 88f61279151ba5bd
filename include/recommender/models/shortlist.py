"""The exact top K at the price of a float32 product.

A float32 product gives each item a bound that its exact score does not exceed. The exact scores of the K items with the
best bounds give a score that K items reach. An item with a lower bound is not among the best K, and what is left is
scored exactly. Places are in the order of how high items can score, so the product ends early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .histories import Histories, Ints
from .protocol import Rows, Scores, Scoring
from .whitening import CHUNK_ITEMS

Places = np.ndarray[Any, np.dtype[np.int64]]

# Items of a block, whose maximum stands for it. A chunk is whole blocks, and its scores of a few users stay in a cache.
BLOCK_ITEMS = 256
# So many times the items that are wanted: then a tighter threshold costs less than to score all of them.
LOOSE = 4


def shortlist(scoring: Scoring, seen: Histories, k: int) -> tuple[Ints, Scores]:
    """The k best unseen items of some users and their exact scores.

    Parameters
    ----------
    seen : of the users of `scoring`, in their order

    Returns
    -------
    int32 and float32, shape (n, k), best first; -1 and -inf where there are no more
    """
    width = min(k, seen.n_items)
    bounds, reached = _bounds(scoring, seen, width)
    near = _Pairs.reaching(bounds, reached)
    if len(near.rows) > LOOSE * width * len(seen):  # most are far from the best: find a score that is reached by more
        tight = _lowest(_exact_of(scoring, near.best(width)), width, len(seen))
        near = near.take(np.flatnonzero(near.values >= np.maximum(tight, reached)[near.rows]))
    return _exact_of(scoring, near).lists(len(seen), k)


def nothing(n: int, k: int) -> tuple[Ints, Scores]:
    """Lists of n users in which there is nothing."""
    return np.full((n, k), -1, dtype=np.int32), np.full((n, k), -np.inf, dtype=np.float32)


def _bounds(scoring: Scoring, seen: Histories, width: int) -> tuple[Scores, Scores]:
    """Bounds of the places that matter, in chunks, until no later item can be among the `width` best.

    Returns
    -------
    float32, shape (n, n_blocks, BLOCK_ITEMS): -inf for seen items and beyond the last. float32, shape (n,): an exact
    score that `width` items reach
    """
    n, n_items, limits = len(seen), seen.n_items, scoring.limits()
    bounds = np.empty((n, -(-n_items // BLOCK_ITEMS) * BLOCK_ITEMS), dtype=np.float32)
    hidden, done, reached = _Hidden.of(scoring, seen), 0, np.full(n, -np.inf, dtype=np.float32)
    for chunk, start in enumerate(range(0, n_items, CHUNK_ITEMS)):
        if (limits[:, chunk] < reached).all():
            break
        stop = min(start + CHUNK_ITEMS, n_items)
        done = -(-stop // BLOCK_ITEMS) * BLOCK_ITEMS
        scoring.upper(start, bounds[:, start:stop])
        bounds[:, stop:done] = -np.inf
        hidden.hide(bounds, start, stop)
        if chunk == 0:  # the best come early
            reached = _reached(scoring, bounds[:, :stop], width)
    return bounds[:, :done].reshape(n, done // BLOCK_ITEMS, BLOCK_ITEMS), reached


def _reached(scoring: Scoring, bounds: Scores, width: int) -> Scores:
    """An exact score that `width` of the first places reach, float32, shape (n,); -inf where fewer are allowed."""
    n, n_places = bounds.shape
    if n_places < width:
        return np.full(n, -np.inf, dtype=np.float32)
    first = np.argpartition(bounds, n_places - width, axis=1)[:, n_places - width :]
    rows = np.repeat(np.arange(n), width)
    exact = scoring.exact(rows, scoring.order[first.ravel()]).reshape(n, width)
    exact[np.isneginf(np.take_along_axis(bounds, first, axis=1))] = -np.inf
    lowest: Scores = exact.min(axis=1)
    return lowest


@dataclass(frozen=True)
class _Pairs:
    """Some items of each user, flat: rows and items, int, ascending by row; values, float32: bounds or exact scores.

    Of bounds, `items` are places.
    """

    rows: Rows
    items: Rows
    values: Scores

    @classmethod
    def reaching(cls, bounds: Scores, reached: Scores) -> _Pairs:
        """All places whose bounds, float32, shape (n, n_blocks, BLOCK_ITEMS), reach a score of their row."""
        least = np.maximum(reached, np.finfo(np.float32).min)  # -inf marks what is not allowed
        rows, blocks = np.nonzero(bounds.max(axis=2) >= least[:, None])
        values = bounds[rows, blocks]
        at, inside = np.nonzero(values >= least[rows][:, None])
        order = np.argsort(rows[at], kind="stable")
        at, inside = at[order], inside[order]
        return cls(rows[at], blocks[at] * BLOCK_ITEMS + inside, values[at, inside])

    def take(self, at: Places) -> _Pairs:
        """Some of them."""
        return _Pairs(self.rows[at], self.items[at], self.values[at])

    def best(self, width: int) -> _Pairs:
        """At most `width` a row, those of the largest values; of equal ones the smaller item comes first."""
        order = np.lexsort((self.items, -self.values, self.rows))
        rows = self.rows[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        return self.take(order[rank < width])

    def lists(self, n: int, k: int) -> tuple[Ints, Scores]:
        """The best k of n rows; see `shortlist`."""
        items, scores = nothing(n, k)
        best = self.best(k)
        rank = np.arange(len(best.rows)) - np.searchsorted(best.rows, best.rows)
        items[best.rows, rank], scores[best.rows, rank] = best.items, best.values
        return items, scores


def _exact_of(scoring: Scoring, near: _Pairs) -> _Pairs:
    """Items instead of places, and exact scores instead of bounds."""
    items = scoring.order[near.items]
    return _Pairs(near.rows, items, scoring.exact(near.rows, items))


def _lowest(exact: _Pairs, width: int, n: int) -> Scores:
    """The lowest score of each row, float32, shape (n,); -inf where there are fewer than `width`."""
    found = np.full(n, np.inf, dtype=np.float32)
    np.minimum.at(found, exact.rows, exact.values)
    found[np.bincount(exact.rows, minlength=n) < width] = -np.inf
    return found


@dataclass(frozen=True)
class _Hidden:
    """Seen items by their place, ascending; and the user of each."""

    places: Rows
    rows: Rows

    @classmethod
    def of(cls, scoring: Scoring, seen: Histories) -> _Hidden:
        places = scoring.place[seen.items]
        order = np.argsort(places, kind="stable")
        return cls(places[order], seen.rows[order])

    def hide(self, bounds: Scores, start: int, stop: int) -> None:
        """Write -inf for the seen items of some places."""
        span = slice(*np.searchsorted(self.places, [start, stop]))
        bounds[self.rows[span], self.places[span]] = -np.inf
