"""Ranking: the exact top K of the unseen items, with one tie rule for all models.

Of equal scores the smaller item index comes first. Indices follow ids, so this is the smaller id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ..progress import Progress
from .cores import n_cores
from .histories import Histories, Ints
from .popularity import Popularity
from .protocol import Rows, Scores, ScoringModel, Shortlisting
from .sharing import LONGER, LongLists, leaders_of
from .shortlist import nothing, shortlist

T = TypeVar("T")

log = logging.getLogger(__name__)

# Scores of one block (32 MB), and of all concurrent blocks; ranking copies a block once more.
BLOCK_SCORES = 8_000_000
MAX_BLOCK_ROWS = 1_024
# Of popularity lists, users times first items that are looked at together.
FIRST_FLAGS = 4_000_000
SCORES_IN_FLIGHT = 64_000_000
# With fewer items, scoring all of them exactly is faster than a shortlist; the lists are the same.
SHORTLIST_ITEMS = 20_000


def recommend_all(model: ScoringModel, histories: Histories, seen: Histories, k: int) -> Ints:
    """The k best unseen items of any number of users, in blocks on all cores.

    The list of a user depends neither on the other users nor on the number of cores.

    Parameters
    ----------
    histories : what the model scores from, in its own columns
    seen : items that are not recommended again, of the same users, in the columns of the scores

    Returns
    -------
    int32, shape (n, k), best first; -1 if there are no more
    """
    assert len(histories) == len(seen)
    if isinstance(model, Popularity):
        return first_unseen(model.order, seen, k)
    if isinstance(model, Shortlisting):
        return best_of_all(model, histories, seen, k)[0]

    def lists(rows: Rows) -> Ints:
        return best_unseen(model.score(histories.take(rows)), seen.take(rows), k)

    rows = np.arange(len(histories), dtype=np.int32)
    return np.concatenate(in_blocks(lists, rows, seen.n_items))


def best_of_all(model: Shortlisting, histories: Histories, seen: Histories, k: int) -> tuple[Ints, Scores]:
    """The same with the scores, for a model that finds its best items by a shortlist.

    Users with one interaction on the same item share a search; see `sharing`.

    Returns
    -------
    int32 and float32, shape (n, k), best first; -1 and -inf where there are no more
    """
    leaders, every = leaders_of(histories, seen), np.arange(len(histories))
    best, scores = nothing(len(histories), k)
    heads = np.flatnonzero(leaders == every)
    long = LongLists(heads, *_search(model, histories, seen, heads, LONGER * k))
    best[heads], scores[heads] = long.items[:, :k], long.scores[:, :k]

    def followed(rows: Rows) -> tuple[Rows, tuple[Ints, Scores]]:
        certain, items, found = long.followed(model, histories, leaders, rows, k)
        return rows[certain], (items[certain], found[certain])

    followers = np.flatnonzero((leaders >= 0) & (leaders != every))
    left = leaders < 0
    left[followers] = True
    for rows, (found, found_scores) in in_blocks(followed, followers, LONGER * k) if len(followers) else ():
        best[rows], scores[rows], left[rows] = found, found_scores, False
    rest = np.flatnonzero(left)
    best[rest], scores[rest] = _search(model, histories, seen, rest, k)
    return best, scores


def _search(model: Shortlisting, histories: Histories, seen: Histories, rows: Rows, k: int) -> tuple[Ints, Scores]:
    """The best k of some users, each searched for."""

    def lists(part: Rows) -> tuple[Ints, Scores]:
        if seen.n_items >= SHORTLIST_ITEMS:
            return shortlist(model.scoring(histories.take(part)), seen.take(part), k)
        scores = model.score(histories.take(part))
        best = best_unseen(scores, seen.take(part), k)
        found = np.take_along_axis(scores, np.maximum(best, 0), axis=1)
        return best, np.where(best >= 0, found, np.float32(-np.inf))

    if not len(rows):
        return nothing(0, k)
    items, scores = zip(*in_blocks(lists, rows, seen.n_items), strict=True)
    return np.concatenate(items), np.concatenate(scores)


def best_unseen(scores: Scores, seen: Histories, k: int) -> Ints:
    """The k best unseen items by scores, which are overwritten; int32, shape (n, k), -1 if there are no more."""
    scores[seen.rows, seen.items] = -np.inf
    return top_k(scores, k)


def first_unseen(order: Ints, seen: Histories, k: int) -> Ints:
    """The first k unseen items of one order for all users; int32, shape (n, k), -1 if there are no more.

    Parameters
    ----------
    order : int32, shape (n_items,), items from first to last
    """
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    best = np.full((len(seen), k), -1, dtype=np.int32)
    # Users of about as many seen items look at equally many first items: all of these could be seen.
    octaves = np.frexp(seen.sizes)[1]
    for octave in np.unique(octaves).tolist():
        width = min(len(order), k + (1 << octave))
        step = max(1, FIRST_FLAGS // width)
        rows = np.flatnonzero(octaves == octave)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            best[some] = _first_of(order[:width], place, seen.take(some), k)
    return best


def _first_of(order: Ints, place: Ints, seen: Histories, k: int) -> Ints:
    """The first k unseen items of the given ones; int32, shape (n, k), -1 if there are no more."""
    unseen = np.ones((len(seen), len(order)), dtype=bool)
    at = place[seen.items]
    near = at < len(order)
    unseen[seen.rows[near], at[near]] = False
    rank = np.cumsum(unseen, axis=1, dtype=np.int32)
    unseen &= rank <= k
    rows, places = np.nonzero(unseen)
    best = np.full((len(seen), k), -1, dtype=np.int32)
    best[rows, rank[rows, places] - 1] = order[places]
    return best


def in_blocks(work: Callable[[Rows], T], rows: Rows, n_items: int) -> list[T]:
    """Apply `work` to blocks of users on all cores, with bounded memory; return the results in order."""
    from threadpoolctl import threadpool_limits

    block = _block_rows(n_items)
    workers = _workers(n_items)
    blocks = [rows[start : start + block] for start in range(0, len(rows), block)]
    progress = Progress(log, "Ranking", max(1, len(rows)), "users")

    def counted(part: Rows) -> T:
        found = work(part)
        progress.add(len(part))
        return found

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(counted, blocks))


def block_bytes(n_items: int) -> int:
    """Memory of the blocks that `in_blocks` works on at once, float32 and one copy."""
    return 2 * 4 * _workers(n_items) * _block_rows(n_items) * n_items


def _block_rows(n_items: int) -> int:
    return max(1, min(MAX_BLOCK_ROWS, BLOCK_SCORES // max(1, n_items)))


def _workers(n_items: int) -> int:
    return max(1, min(n_cores(), SCORES_IN_FLIGHT // max(1, _block_rows(n_items) * n_items)))


def top_k(scores: np.ndarray[Any, np.dtype[np.float32]], k: int) -> Ints:
    """The k best columns of each row, best first; of equal scores the smaller column first.

    Parameters
    ----------
    scores : float32, shape (n, n_items); -inf marks items that must not be recommended

    Returns
    -------
    int32, shape (n, k); -1 fills up where fewer than k items are allowed
    """
    n, n_items = scores.shape
    width = min(k, n_items)
    # A row with fewer than `width` allowed items has its threshold at -inf.
    threshold = np.maximum(_kth_best(scores, width), np.finfo(np.float32).min)
    best = np.full((n, k), -1, dtype=np.int32)
    for row in range(n):
        columns = np.flatnonzero(scores[row] >= threshold[row])
        order = np.argsort(-scores[row, columns], kind="stable")[:width]
        best[row, : len(order)] = columns[order]
    return best


def _kth_best(scores: np.ndarray[Any, np.dtype[np.float32]], k: int) -> np.ndarray[Any, Any]:
    """The k-th best score of each row.

    Wide rows are cut into groups: k groups whose maxima are the best hold k scores at least as good as any score
    outside of them, so the k-th best of these groups is that of the row, and only they are partitioned.
    """
    n, n_items = scores.shape
    size = 64
    n_groups = n_items // size
    if n_groups > 4 * k:
        rest = scores[:, n_groups * size :]
        groups = scores[:, : n_groups * size].reshape(n, size, n_groups)
        chosen = np.argpartition(groups.max(axis=1), n_groups - k, axis=1)[:, n_groups - k :]
        scores = np.concatenate([np.take_along_axis(groups, chosen[:, None, :], axis=2).reshape(n, -1), rest], axis=1)
    place = scores.shape[1] - k
    return np.asarray(np.partition(scores, place, axis=1)[:, place])
