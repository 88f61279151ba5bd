"""The exact top K at the price of a float32 product.

A float32 product gives each item a bound that its exact score does not exceed. The exact scores of the K items with the
best bounds give a score that K items reach. An item with a lower bound is not among the best K, and what is left is
scored exactly. Places are in the order of how high items can score, so the product ends early.

Pairs `apart` come first: of a sum with item-kNN most of the best items are among them.
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
# So many times the items that are wanted: then a tighter threshold costs less than to score all of them.
LOOSE = 2


def shortlist(scoring: Scoring, seen: Histories, k: int) -> tuple[Ints, Scores]:
    """The k best unseen items of some users and their exact scores.

    Parameters
    ----------
    seen : of the users of `scoring`, in their order

    Returns
    -------
    int32 and float32, shape (n, k), best first; -1 and -inf where there are no more
    """
    n, width = len(seen), min(k, seen.n_items)
    apart, reached = _apart(scoring, seen, width)
    found = _bounds(scoring, seen, reached, width)
    reached = np.maximum(found.reached, _reached_by_blocks(scoring, found, width))
    near = _Pairs.reaching(found, reached)
    if len(near.rows) > LOOSE * width * n:  # most are far from the best: find a score that is reached by enough
        lowest = _lowest(_exact_of(scoring, near.best(width)), width, n)
        near = near.take(np.flatnonzero(near.values >= np.maximum(lowest, reached)[near.rows]))
    return _exact_of(scoring, near).joined(apart.reach(scoring, reached)).lists(n, k)


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


def _apart(scoring: Scoring, seen: Histories, width: int) -> tuple[_Pairs, Scores]:
    """Bounds of the unseen pairs `apart`, and an exact score that `width` of them reach, float32, shape (n,)."""
    rows, items, bounds = scoring.apart
    n = len(seen)
    if not len(rows):
        return _Pairs(rows, items, bounds), np.full(n, -np.inf, dtype=np.float32)
    # Seen pairs are few, and these are in order.
    keys, hidden = rows * np.int64(seen.n_items) + items, seen.rows * np.int64(seen.n_items) + seen.items
    place = np.minimum(np.searchsorted(keys, hidden), len(keys) - 1)
    unseen = np.delete(np.arange(len(keys)), place[keys[place] == hidden])
    pairs = _Pairs(rows[unseen], items[unseen], bounds[unseen])
    starts = np.searchsorted(pairs.rows, np.arange(n + 1))
    best = [_largest(pairs.values, starts[row], starts[row + 1], width) for row in range(n)]
    first = pairs.take(np.concatenate(best))
    return pairs, _lowest(first.scored(scoring), width, n)


def _largest(values: Scores, start: int, stop: int, width: int) -> Places:
    """Places of the largest values between two places; of all, if they are no more than `width`."""
    if stop - start <= width:
        return np.arange(start, stop)
    return start + np.argpartition(values[start:stop], stop - start - width)[stop - start - width :]


def _bounds(scoring: Scoring, seen: Histories, reached: Scores, width: int) -> _Bounds:
    """Bounds of the places that matter, in chunks, until no later item can be among the `width` best.

    Parameters
    ----------
    reached : a score that is reached already, float32, shape (n,)
    """
    n, n_items, limits = len(seen), seen.n_items, scoring.limits()
    n_blocks = -(-n_items // BLOCK_ITEMS)
    bounds = np.empty((n, n_blocks, BLOCK_ITEMS), dtype=np.float32)
    maxima, flat = np.empty((n, n_blocks), dtype=np.float32), bounds.reshape(n, n_blocks * BLOCK_ITEMS)
    hidden, done = _Hidden.of(scoring, seen), 0
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
        if chunk == 0:  # the best come early
            few = n_blocks < BLOCKS_A_ITEM * width
            reached = np.maximum(reached, _reached(scoring, flat[:, :stop], width, None if few else limits[:, -1]))
    return _Bounds(bounds[:, :done], maxima[:, :done], reached)


def _reached(scoring: Scoring, bounds: Scores, width: int, last: Doubles | None) -> Scores:
    """An exact score that `width` of the first places reach, float32, shape (n,); -inf where fewer are allowed.

    Parameters
    ----------
    last : what items of the last chunk reach at most; -inf is returned where it cannot be excluded that they do
    """
    n, n_places = bounds.shape
    nowhere = np.full(n, -np.inf, dtype=np.float32)
    if n_places < width:
        return nowhere
    first = np.argpartition(bounds, n_places - width, axis=1)[:, n_places - width :]
    promised = np.take_along_axis(bounds, first, axis=1)
    if last is not None and not (last < promised.min(axis=1)).all():
        return nowhere
    return _lowest_of(scoring, first, promised)


def _reached_by_blocks(scoring: Scoring, found: _Bounds, width: int) -> Scores:
    """An exact score that `width` items reach: the best by their bounds, of the blocks with the best bounds."""
    n, n_blocks = found.maxima.shape
    if n_blocks < BLOCKS_A_ITEM * width:
        return np.full(n, -np.inf, dtype=np.float32)
    first = np.argpartition(found.maxima, n_blocks - width, axis=1)[:, n_blocks - width :]
    places = first * BLOCK_ITEMS + found.bounds[np.arange(n)[:, None], first].argmax(axis=2)
    return _lowest_of(scoring, places, np.take_along_axis(found.maxima, first, axis=1))


def _lowest_of(scoring: Scoring, places: Places, bounds: Scores) -> Scores:
    """The lowest exact score of some places of each row, float32, shape (n,); -inf if one of them is not allowed."""
    n, width = places.shape
    exact = scoring.exact(np.repeat(np.arange(n), width), scoring.order[places.ravel()]).reshape(n, width)
    exact[np.isneginf(bounds)] = -np.inf
    lowest: Scores = exact.min(axis=1)
    return lowest


@dataclass(frozen=True)
class _Pairs:
    """Some items of each user, flat: rows and items, int, ascending by row; values, float32: bounds or exact scores.

    Of `reaching`, `items` are places.
    """

    rows: Rows
    items: Rows
    values: Scores

    def scored(self, scoring: Scoring) -> _Pairs:
        """The same with exact scores."""
        return _Pairs(self.rows, self.items, scoring.exact(self.rows, self.items))

    def reach(self, scoring: Scoring, reached: Scores) -> _Pairs:
        """Those whose bounds reach a score of their row, float32, shape (n,), with exact scores."""
        return self.take(np.flatnonzero(self.values >= reached[self.rows])).scored(scoring)

    def joined(self, other: _Pairs) -> _Pairs:
        """These, then other pairs."""
        if not len(other.rows):
            return self
        rows, items = np.concatenate([self.rows, other.rows]), np.concatenate([self.items, other.items])
        return _Pairs(rows, items, np.concatenate([self.values, other.values]))

    @classmethod
    def reaching(cls, found: _Bounds, reached: Scores) -> _Pairs:
        """All places whose bounds reach a score of their row, float32, shape (n,)."""
        least = np.maximum(reached, np.finfo(np.float32).min)  # -inf marks what is not allowed
        rows, blocks = np.nonzero(found.maxima >= least[:, None])
        values = found.bounds[rows, blocks]
        at, inside = np.nonzero(values >= least[rows][:, None])
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
    """Items that are not searched for, seen or apart, by their place, ascending; and the user of each."""

    places: Rows
    rows: Rows

    @classmethod
    def of(cls, scoring: Scoring, seen: Histories) -> _Hidden:
        apart, items, _ = scoring.apart
        places, rows = scoring.place[np.concatenate([seen.items, items])], np.concatenate([seen.rows, apart])
        order = np.argsort(places)
        return cls(places[order], rows[order])

    def hide(self, bounds: Scores, start: int, stop: int) -> None:
        """Write -inf for the seen items of some places."""
        span = slice(*np.searchsorted(self.places, [start, stop]))
        bounds[self.rows[span], self.places[span]] = -np.inf
