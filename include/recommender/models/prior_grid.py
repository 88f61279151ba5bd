"""The best items of many users under many priors and weights of item-kNN at once, from one score of each part.

An item's score is taste times popularity^power. So an item is among the K best under a power only if fewer than K
items have at least its popularity and more taste. The most popular items of each half-life, and the K-th largest taste
among them, leave few others. Only these are ranked, by the logarithm of the score.

It is for choosing a prior: scores are float32 products, so lists may differ from `ranking` where two scores differ in
their last bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .histories import Histories, Ints
from .model import KnnScores, Model
from .prior import LONG_HISTORY, ItemPopularity, log_popularity
from .protocol import Rows, Scores
from .ranking import in_blocks

# Of each half-life, so many of the most popular items are always ranked.
LEADING_ITEMS = 512

Logs = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, kw_only=True)
class PriorGrid:
    """Priors to compare: half-lives, each with some powers.

    logs : float32, shape (n_half_lives, n_items), of the popularity, see `log_popularity`
    leading : int32, shape (n_half_lives, at most LEADING_ITEMS), the most popular items of each, by popularity
    leads : bool, shape (n_half_lives, n_items), whether an item is one of them
    powers : float64, shape (n_powers,)
    short_history : see `PriorConfig`
    """

    logs: Logs
    leading: Ints
    leads: np.ndarray[Any, np.dtype[np.bool_]]
    powers: np.ndarray[Any, np.dtype[np.float64]]
    short_history: float

    @classmethod
    def of(cls, popularities: Sequence[ItemPopularity], powers: Sequence[float], short_history: float) -> PriorGrid:
        """popularities : float64, shape (n_items,), decayed counts of each half-life."""
        logs = np.stack([log_popularity(each) for each in popularities]).astype(np.float32)
        leading = np.argsort(-logs, axis=1, kind="stable")[:, :LEADING_ITEMS].astype(np.int32)
        leads = np.zeros(logs.shape, dtype=bool)
        np.put_along_axis(leads, leading, True, axis=1)
        return cls(
            logs=logs,
            leading=leading,
            leads=leads,
            powers=np.array(powers, dtype=np.float64),
            short_history=short_history,
        )

    def best(self, model: Model, weights: Sequence[float], histories: Histories, k: int) -> Ints:
        """The k best unseen items of each user.

        Parameters
        ----------
        model : with weight 1 of item-kNN, or without; its prior does not matter
        weights : of item-kNN

        Returns
        -------
        int32, shape (n_weights, n_half_lives, n_powers, n, k), best first; -1 if there are no more
        """
        vectors = model.als.whitened.vectors[model.als.whitened.place]

        def lists(rows: Rows) -> Ints:
            return self._of(vectors, histories.take(rows), model, weights, k)

        rows, of_user = distinct(histories)
        return np.concatenate(in_blocks(lists, rows, histories.n_items), axis=3)[:, :, :, of_user]

    def _of(self, vectors: Scores, histories: Histories, model: Model, weights: Sequence[float], k: int) -> Ints:
        tastes, knn = model.parts(histories)
        by_als: Scores = tastes.astype(np.float32) @ vectors.T
        blind = ~tastes.any(axis=1)
        by_als[blind & (knn.sizes == 0)] = 1.0
        found = self._lists(by_als, knn, weights, histories, k)
        # Only neighbours know something of them, and ALS alone nothing.
        if 0.0 in weights and (blind & (knn.sizes > 0)).any():
            alone = self._lists(np.ones_like(by_als), KnnScores.none(len(histories)), [0.0], histories, k)
            found[weights.index(0.0)][:, :, blind] = alone[0][:, :, blind]
        return found

    def _lists(self, by_als: Scores, knn: KnnScores, weights: Sequence[float], histories: Histories, k: int) -> Ints:
        from .prior_kernels import best_of_grid

        sizes = np.minimum(np.maximum(histories.sizes, 1), LONG_HISTORY)
        stretch = 1.0 + self.short_history / sizes
        found = np.full((len(weights), len(self.logs), len(self.powers), len(histories), k), -1, dtype=np.int32)
        by_als[histories.rows, histories.items] = -np.inf
        indptr = np.concatenate([[0], np.cumsum(knn.sizes, dtype=np.int64)])
        by_knn = indptr, knn.items, knn.values, np.array(weights, dtype=np.float64)
        best_of_grid(by_als, by_knn, (self.logs, self.leading, self.leads), self.powers, stretch, found)
        return found


def by_list(histories: Histories) -> Rows:
    """The rows in an order in which users whose lists are equal, see `distinct`, are neighbours; int64."""
    _, of_user = distinct(histories)
    return np.argsort(of_user, kind="stable")


def distinct(histories: Histories) -> tuple[Rows, Rows]:
    """Users whose lists differ: of those with one interaction, on the same item, the first; their tastes are parallel.

    Returns
    -------
    int64: the rows of these users, and for each user the place of its list among them, shape (n,)
    """
    keys = np.arange(len(histories)) + histories.n_items
    single = np.flatnonzero(histories.sizes == 1)
    keys[single] = histories.items[histories.indptr[single]]
    _, rows, of_user = np.unique(keys, return_index=True, return_inverse=True)
    return rows, of_user
