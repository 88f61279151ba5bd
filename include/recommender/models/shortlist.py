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
from .protocol import Doubles, Rows, Scores, Scoring
from .whitening import CHUNK_ITEMS

Places = np.ndarray[Any, np.dtype[np.int64]]

# Items of a block, whose maximum stands for it. A chunk is whole blocks, and its scores of a few users stay in a cache.
BLOCK_ITEMS = 256
# With fewer blocks for each item of a list, the best of a block say little about the best of all.
BLOCKS_A_ITEM = 2
_WITHIN = np.arange(BLOCK_ITEMS)


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
    found = _bounds(scoring, seen, width)
    for row in range(len(seen)):
        least = max(found.reached[row], _reached_by_blocks(scoring, row, found, width))
        near = np.flatnonzero(found.maxima[row] >= least)
        values, places = found.bounds[row, near].ravel(), (near[:, None] * BLOCK_ITEMS + _WITHIN).ravel()
        kept = np.flatnonzero((values >= least) & (values > -np.inf))
        if len(kept) > 2 * width:
            least = max(least, _reached(scoring, row, values[kept], places[kept], width))
            kept = kept[values[kept] >= least]
        items = np.sort(scoring.order[places[kept]])
        exact = scoring.exact(np.array([row]), items)[0]
        order = np.argsort(-exact, kind="stable")[:width]
        best[row, : len(order)], scores[row, : len(order)] = items[order], exact[order]
    return best, scores


def nothing(n: int, k: int) -> tuple[Ints, Scores]:
    """Lists of n users in which there is nothing."""
    return np.full((n, k), -1, dtype=np.int32), np.full((n, k), -np.inf, dtype=np.float32)


@dataclass(frozen=True)
class _Bounds:
    """Bounds of the scores of some users, by place.

    bounds : float32, shape (n, n_blocks, BLOCK_ITEMS); -inf for seen items and beyond the last
    maxima : float32, shape (n, n_blocks), the largest of each block
    reached : float32, shape (n,), an exact score that enough items reach
    """

    bounds: Scores
    maxima: Scores
    reached: Scores


def _bounds(scoring: Scoring, seen: Histories, width: int) -> _Bounds:
    """Bounds of the places that matter, in chunks, until no later item can be among the `width` best."""
    n, n_items, limits = len(seen), seen.n_items, scoring.limits()
    n_blocks = -(-n_items // BLOCK_ITEMS)
    bounds = np.empty((n, n_blocks, BLOCK_ITEMS), dtype=np.float32)
    maxima, flat = np.empty((n, n_blocks), dtype=np.float32), bounds.reshape(n, n_blocks * BLOCK_ITEMS)
    hidden, done, reached = _Hidden.of(scoring, seen), 0, np.full(n, -np.inf, dtype=np.float32)
    for chunk, start in enumerate(range(0, n_items, CHUNK_ITEMS)):
        if (limits[:, chunk] < reached).all():
            break
        stop = min(start + CHUNK_ITEMS, n_items)
        before, done = done, -(-stop // BLOCK_ITEMS)
        scoring.upper(start, flat[:, start:stop])
        flat[:, stop : done * BLOCK_ITEMS] = -np.inf
        hidden.hide(flat, start, stop)
        # While they are in the cache.
        np.max(bounds[:, before:done], axis=2, out=maxima[:, before:done])
        if chunk == 0 and (n_blocks < BLOCKS_A_ITEM * width or _may_end(flat[:, :stop], limits, width)):
            places = np.arange(stop)  # the best come early
            reached = np.array([_reached(scoring, row, flat[row, :stop], places, width) for row in range(n)])
    return _Bounds(bounds[:, :done], maxima[:, :done], reached.astype(np.float32))


def _may_end(bounds: Scores, limits: Doubles, width: int) -> bool:
    """Whether no item of the last chunk can reach what the bounds of the first promise at most."""
    place = bounds.shape[1] - width
    return place >= 0 and bool((limits[:, -1] < np.partition(bounds, place, axis=1)[:, place]).all())


def _reached_by_blocks(scoring: Scoring, row: int, found: _Bounds, width: int) -> np.float32:
    """An exact score that `width` items reach: the best by their bounds, of the blocks with the best bounds."""
    maxima = found.maxima[row]
    if len(maxima) < BLOCKS_A_ITEM * width:
        return np.float32(-np.inf)
    first = np.argpartition(maxima, len(maxima) - width)[len(maxima) - width :]
    if np.isneginf(maxima[first]).any():
        return np.float32(-np.inf)
    places = first * BLOCK_ITEMS + found.bounds[row, first].argmax(axis=1)
    return np.float32(scoring.exact(np.array([row]), scoring.order[places]).min())


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
