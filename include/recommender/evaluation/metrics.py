"""Ranking metrics, per user.

Recall@K = |top-K and held-out| / |held-out items of the user|: the denominator is not min(K, .), and held-out items
that the model does not know count in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int32]]

METRICS = ("recall", "ndcg", "map", "mrr", "hit_rate")


def per_user(hits: np.ndarray[Any, np.dtype[np.bool_]], n_held: Ints, k: int) -> dict[str, Floats]:
    """All metrics at one K.

    Parameters
    ----------
    hits : bool, shape (n_users, at least k), whether the item at each rank was held out
    n_held : int, shape (n_users,), held-out items of each user, at least 1

    Returns
    -------
    metric name -> float64, shape (n_users,). NDCG (Jarvelin and Kekalainen 2002, discount 1/log2(rank + 1)) and MAP
    (average precision) are normalized by the value of min(K, n_held) hits at the top; trec_eval's map_cut divides by
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
