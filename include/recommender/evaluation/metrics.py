"""Ranking metrics, per user.

Recall@K = |top-K and held-out| / |held-out items of the user|: the denominator is not min(K, .), and held-out items
that the model cannot know count in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int32]]

METRICS = ("recall", "ndcg", "map", "mrr", "hit_rate")


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


def per_user(hits: np.ndarray[Any, np.dtype[np.bool_]], n_held: Ints, k: int) -> dict[str, Floats]:
    """All metrics at one K.

    Parameters
    ----------
    hits : bool, shape (n_users, at least k), whether the item at each rank was held out
    n_held : int, shape (n_users,), held-out items of each user, at least 1

    Returns
    -------
    metric name -> float64, shape (n_users,). NDCG (Jarvelin and Kekalainen 2002, discount 1/log2(rank + 1)) and MAP
    (average precision) are normalized by the best that min(K, n_held) hits can reach; trec_eval's map_cut divides by
    n_held instead. MRR is the reciprocal rank of the first hit within K, else 0.
    """
    top = hits[:, :k].astype(np.float64)
    ranks = np.arange(1, top.shape[1] + 1)
    discount = 1.0 / np.log2(ranks + 1)
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1))])
    reachable = np.minimum(n_held, k)
    found = top.sum(axis=1)
    precision = np.cumsum(top, axis=1) / ranks
    first = np.argmax(top, axis=1)
    return {
        "recall": found / n_held,
        "ndcg": (top * discount).sum(axis=1) / ideal[reachable],
        "map": (precision * top).sum(axis=1) / reachable,
        "mrr": np.where(found > 0, 1.0 / (first + 1), 0.0),
        "hit_rate": (found > 0).astype(np.float64),
    }
