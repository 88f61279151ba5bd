"""The best items of many users under many priors at once, from one score of taste each.

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

from .als.fold_in import fold_in
from .als.taste import Als
from .histories import Histories, Ints
from .prior import LEAST_MULTIPLIER, LONG_HISTORY, ItemPopularity, log_popularity
from .protocol import Rows, Scores
from .ranking import in_blocks
from .whitening import Factors

# Of each half-life, so many of the most popular items are always ranked.
LEADING_ITEMS = 1_024
LOG_LEAST = float(np.log(LEAST_MULTIPLIER))

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

    def best(self, als: Als, histories: Histories, k: int) -> Ints:
        """The k best unseen items of each user.

        Returns
        -------
        int32, shape (n_half_lives, n_powers, n, k), best first; -1 if there are no more
        """
        vectors = als.whitened.vectors[als.whitened.place]

        def lists(rows: Rows) -> Ints:
            return self._of(vectors, histories.take(rows), als, k)

        rows, of_user = distinct(histories)
        return np.concatenate(in_blocks(lists, rows, histories.n_items), axis=2)[:, :, of_user]

    def _of(self, vectors: Factors, histories: Histories, als: Als, k: int) -> Ints:
        from .prior_kernels import best_of_grid

        tastes = fold_in(histories, als.whitened)
        scores: Scores = tastes.astype(np.float32) @ vectors.T
        scores[np.logical_not(tastes.any(axis=1))] = 1.0
        scores[histories.rows, histories.items] = -np.inf
        sizes = np.minimum(np.maximum(histories.sizes, 1), LONG_HISTORY)
        stretch = 1.0 + self.short_history / sizes
        found = np.full((len(self.logs), len(self.powers), len(histories), k), -1, dtype=np.int32)
        best_of_grid(scores, (self.logs, self.leading, self.leads), self.powers, stretch, LOG_LEAST, found)
        return found


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
