"""The exact top K at the price of a float32 product.

Approximate scores choose a few items that may be among the best, and only these are scored exactly. With an error of at
most e, the K-th best exact score is at least t - e, where t is the K-th best approximate one. So an item whose
approximate score lies below t - 2e is not among the best K.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .histories import Histories, Ints
from .protocol import Rows, Scores, Scoring
from .whitening import CHUNK_ITEMS

Places = np.ndarray[Any, np.dtype[np.int64]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]

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
    for row, items in enumerate(candidates(scoring, seen, k, scoring.errors())):
        own = np.array([row])
        best[own], scores[own] = ranked(scoring, own, items, k)
    return best, scores


def candidates(scoring: Scoring, seen: Histories, k: int, errors: Doubles) -> Iterator[Ints]:
    """For each user, ascending, the unseen items that may be among the k best.

    Parameters
    ----------
    errors : float64, shape (n,), how far an approximate score may lie from the one that decides
    """
    width = min(k, seen.n_items)
    blocks, maxima, reached = _approximate(scoring, seen, width, errors)
    order = scoring.order
    for row, slack in enumerate((2 * errors).tolist()):
        near = np.flatnonzero(maxima[row] >= reached[row] - slack)
        yield np.sort(order[_candidates(blocks[row], near, width, slack)])


def ranked(scoring: Scoring, rows: Rows, items: Ints, k: int) -> tuple[Ints, Scores]:
    """The k best of some items, ascending, for some users, by exact scores; int32 and float32, shape (len(rows), k)."""
    best, scores = nothing(len(rows), k)
    exact = scoring.exact(rows, items)
    order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
    width = order.shape[1]
    best[:, :width], scores[:, :width] = items[order], np.take_along_axis(exact, order, axis=1)
    return best, scores


def nothing(n: int, k: int) -> tuple[Ints, Scores]:
    """Lists of n users in which there is nothing."""
    return np.full((n, k), -1, dtype=np.int32), np.full((n, k), -np.inf, dtype=np.float32)


def _approximate(scoring: Scoring, seen: Histories, width: int, errors: Doubles) -> tuple[Scores, Scores, Doubles]:
    """Approximate scores of the places that matter, in chunks, until no later item can be among the `width` best.

    Returns
    -------
    float32, shape (n, n_blocks, BLOCK_ITEMS) and (n, n_blocks): scores, and the maximum of each block; -inf for seen
    items and beyond the last. float64, shape (n,): `width` items score at least this much, approximately
    """
    n, n_items, limits = len(seen), seen.n_items, scoring.limits()
    n_blocks = -(-n_items // BLOCK_ITEMS)
    scores = np.empty((n, n_blocks * BLOCK_ITEMS), dtype=np.float32)
    maxima = np.empty((n, n_blocks), dtype=np.float32)
    hidden = _Hidden.of(scoring, seen)
    done, best, reached = 0, np.full((n, width), -np.inf, dtype=np.float32), np.full(n, -np.inf)
    for chunk, start in enumerate(range(0, n_items, CHUNK_ITEMS)):
        # Once for the scores that were reached, and once for those of users who share the shortlist.
        if (limits[:, chunk] < reached - 2 * errors).all():
            break
        stop = min(start + CHUNK_ITEMS, n_items)
        first, done = done, -(-stop // BLOCK_ITEMS)
        scoring.approximate(start, scores[:, start:stop])
        scores[:, stop : done * BLOCK_ITEMS] = -np.inf
        hidden.hide(scores, start, stop)
        maxima[:, first:done] = scores[:, start : done * BLOCK_ITEMS].reshape(n, done - first, BLOCK_ITEMS).max(axis=2)
        # The best come early, so all scores of the first chunk count. Later, the maxima are enough.
        fresh = scores[:, start:stop] if chunk == 0 else maxima[:, first:done]
        best = np.partition(np.concatenate([best, fresh], axis=1), -width, axis=1)[:, -width:]
        reached = best[:, 0].astype(np.float64)
    return scores[:, : done * BLOCK_ITEMS].reshape(n, done, BLOCK_ITEMS), maxima[:, :done], reached


@dataclass(frozen=True)
class _Hidden:
    """Seen items by their place, ascending; and the user of each."""

    places: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]

    @classmethod
    def of(cls, scoring: Scoring, seen: Histories) -> _Hidden:
        places = scoring.place[seen.items]
        order = np.argsort(places, kind="stable")
        return cls(places[order], seen.rows[order])

    def hide(self, scores: Scores, start: int, stop: int) -> None:
        """Write -inf for the seen items of some places."""
        span = slice(*np.searchsorted(self.places, [start, stop]))
        scores[self.rows[span], self.places[span]] = -np.inf


def _candidates(blocks: Scores, near: Places, width: int, slack: float) -> Places:
    """Places that may be among the `width` best of one user, in the blocks that are near enough."""
    values = blocks[near].ravel()
    kept = np.flatnonzero(values >= _least(values, width, slack))
    kept = kept[values[kept] > -np.inf]
    places: Places = near[kept // BLOCK_ITEMS] * BLOCK_ITEMS + kept % BLOCK_ITEMS
    return places


def _least(values: Scores, width: int, slack: float) -> np.float64:
    """The `width`-th best of some scores less the slack; a float64, so that nothing is rounded up."""
    if len(values) < width:
        return np.float64(-np.inf)
    place = len(values) - width
    return np.float64(np.partition(values, place)[place]) - np.float64(slack)
