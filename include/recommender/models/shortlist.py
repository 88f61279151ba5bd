"""The exact top K at the price of a float32 product.

Approximate scores choose a few items that may be among the best, and only these are scored exactly. With an error of at
most e, the K-th best exact score is at least t - e, where t is the K-th best approximate one. So an item whose
approximate score lies below t - 2e is not among the best K.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .histories import Histories, Ints
from .protocol import Rows, Scores, Scoring

Doubles = np.ndarray[Any, np.dtype[np.float64]]

# Items of a block, whose maximum stands for it; the scores of so many blocks of a few users stay in a cache.
BLOCK_ITEMS = 256
CHUNK_ITEMS = 16 * BLOCK_ITEMS


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
    blocks = _approximate(scoring, seen)
    maxima, width = blocks.max(axis=2), min(k, seen.n_items)
    for row, slack in enumerate((2 * errors).tolist()):
        yield _candidates(blocks[row], maxima[row], width, slack)


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


def _approximate(scoring: Scoring, seen: Histories) -> Scores:
    """Approximate scores, float32, shape (n, n_blocks, BLOCK_ITEMS); -inf for seen items and beyond the last."""
    n_blocks = -(-seen.n_items // BLOCK_ITEMS)
    scores = np.empty((len(seen), n_blocks * BLOCK_ITEMS), dtype=np.float32)
    scores[:, seen.n_items :] = -np.inf
    for start in range(0, seen.n_items, CHUNK_ITEMS):
        scoring.approximate(start, scores[:, start : min(start + CHUNK_ITEMS, seen.n_items)])
    scores[seen.rows, seen.items] = -np.inf
    return scores.reshape(len(seen), n_blocks, BLOCK_ITEMS)


def _candidates(blocks: Scores, maxima: Scores, width: int, slack: float) -> Ints:
    """Items that may be among the `width` best of one user, ascending.

    The `width` best maxima belong to as many items, so the least of them is a lower bound of the K-th best score.
    """
    near = np.flatnonzero(maxima >= _least(maxima, width, slack))
    values = blocks[near].ravel()
    kept = np.flatnonzero(values >= _least(values, width, slack))
    kept = kept[values[kept] > -np.inf]
    items: Ints = (near[kept // BLOCK_ITEMS] * BLOCK_ITEMS + kept % BLOCK_ITEMS).astype(np.int32)
    return items


def _least(values: Scores, width: int, slack: float) -> np.float64:
    """The `width`-th best of some scores less the slack; a float64, so that nothing is rounded up."""
    if len(values) < width:
        return np.float64(-np.inf)
    place = len(values) - width
    return np.float64(np.partition(values, place)[place]) - np.float64(slack)
