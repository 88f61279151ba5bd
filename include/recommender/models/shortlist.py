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


def shortlist(scoring: Scoring, seen: Histories, k: int) -> tuple[Ints, Scores]:
    """The k best unseen items of some users and their exact scores.

    Parameters
    ----------
    seen : of the users of `scoring`, in their order

    Returns
    -------
    int32 and float32, shape (n, k), best first; -1 and -inf where there are no more
    """
    best, scores = nothing(len(seen), k)
    width = min(k, seen.n_items)
    bounds, reached = _bounds(scoring, seen, width)
    maxima = bounds.max(axis=2)
    for row in range(len(seen)):
        near = np.flatnonzero(maxima[row] >= reached[row])
        values, places = bounds[row, near].ravel(), (near[:, None] * BLOCK_ITEMS + np.arange(BLOCK_ITEMS)).ravel()
        least = max(reached[row], _reached(scoring, row, values, places, width))
        kept = places[(values >= least) & (values > -np.inf)]
        items = np.sort(scoring.order[kept])
        exact = scoring.exact(np.array([row]), items)[0]
        order = np.argsort(-exact, kind="stable")[:width]
        best[row, : len(order)], scores[row, : len(order)] = items[order], exact[order]
    return best, scores


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
            places = np.arange(stop)
            reached = np.array([_reached(scoring, row, bounds[row, :stop], places, width) for row in range(n)])
    return bounds[:, :done].reshape(n, done // BLOCK_ITEMS, BLOCK_ITEMS), reached.astype(np.float32)


def _reached(scoring: Scoring, row: int, bounds: Scores, places: Places, width: int) -> np.float32:
    """An exact score that `width` of some items reach; -inf where fewer of them are allowed."""
    if len(bounds) < width:
        return np.float32(-np.inf)
    first = np.argpartition(bounds, len(bounds) - width)[len(bounds) - width :]
    if np.isneginf(bounds[first]).any():
        return np.float32(-np.inf)
    return np.float32(scoring.exact(np.array([row]), scoring.order[places[first]]).min())


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
