"""The item prior: recent popularity in the score. The one scoring function of evaluation, batch and online."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import PriorConfig
from .als import Als, Factors
from .popularity import decayed_counts
from .protocol import Rows, Scores

Strengths = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int32]]

# Of the strongest item. An item that nobody took lately is unlikely, not impossible.
FLOOR = 1e-4
# Smaller boosts would become zero in float32, and all their items equal.
LEAST_BOOST = 1e-30
# Histories at least this long are one bracket: the power has all but reached its limit.
LONG_HISTORY = 10
# Of an ItemPrior: its strength, float64, and its boosts, float32.
BYTES_AN_ITEM = 8 + 4 * LONG_HISTORY


def fit_prior(
    items: np.ndarray[Any, np.dtype[np.int32]],
    times: np.ndarray[Any, np.dtype[np.int64]],
    n_items: int,
    cut_s: int,
    config: PriorConfig,
) -> Strengths:
    """Exponentially decayed counts of train interactions, float64, shape (n_items,); see `decayed_counts`."""
    return decayed_counts(items, times, n_items, cut_s, config.half_life_days)


@dataclass(frozen=True)
class ItemPrior:
    """How likely each item is now, whoever asks.

    strength : float64, shape (n_items,), decayed popularity
    boosts : float32, shape (LONG_HISTORY, n_items), what scores are multiplied by; row n - 1 for users with n
        interactions, the last row for all with more
    """

    strength: Strengths
    boosts: Scores

    @classmethod
    def of(cls, strength: Strengths, config: PriorConfig) -> ItemPrior:
        """(strength / the largest)^(power * (1 + short_history / n)), from FLOOR^... or LEAST_BOOST to 1."""
        largest = strength.max(initial=0.0)
        logs = np.log(np.maximum(strength / largest, FLOOR)) if largest > 0 else np.zeros(len(strength))
        powers = config.power * (1 + config.short_history / np.arange(1, LONG_HISTORY + 1))
        return cls(strength, np.exp(np.maximum(powers[:, None] * logs, np.log(LEAST_BOOST))).astype(np.float32))

    def take(self, items: np.ndarray[Any, Any]) -> ItemPrior:
        """The prior of some items, unchanged."""
        return ItemPrior(self.strength[items], self.boosts[:, items])

    def blended_scores(self, user_factors: Factors, item_factors: Factors, history: Counts) -> Scores:
        """Taste times prior: (x_u . y_i) * boost_i. Users without factors get the prior itself.

        A product of experts (Hinton 2002): an item has to suit the user and the time. The shorter a history, the less
        it tells, and the more the prior weighs; with none at all, only the prior is left. Written as
        x_u . (boost_i y_i) it is an inner product still.

        Parameters
        ----------
        user_factors : float32, shape (n, n_factors); a zero row is a user of whom nothing is known
        item_factors : float32, shape (n_items, n_factors)
        history : int32, shape (n,), known interactions of each user

        Returns
        -------
        float32, shape (n, n_items)
        """
        taste: Scores = user_factors @ item_factors.T
        return self.blend(taste, history, np.logical_not(user_factors.any(axis=1)), out=taste)

    def blend(
        self,
        taste: Scores,
        history: Counts,
        unknown: np.ndarray[Any, np.dtype[np.bool_]],
        out: Scores | None = None,
    ) -> Scores:
        """`blended_scores` of users whose taste, x_u . y_i, is known already.

        Parameters
        ----------
        taste : float32, shape (n, n_items)
        unknown : bool, shape (n,), users of whom nothing is known
        out : where the scores are written, possibly `taste` itself; a new array without it
        """
        scores = np.empty_like(taste) if out is None else out
        bracket = np.clip(history, 1, LONG_HISTORY)
        for n in np.unique(bracket):
            own = np.flatnonzero(bracket == n)
            scores[own] = taste[own] * self.boosts[n - 1]
        scores[unknown] = self.strength.astype(np.float32)
        return scores


@dataclass(frozen=True)
class PriorAls:
    """ALS with an item prior.

    history : int32, shape (n_users,), train interactions of each user
    """

    als: Als
    prior: ItemPrior
    history: Counts

    def score(self, rows: Rows) -> Scores:
        """See `ItemPrior.blended_scores`; float32, shape (len(rows), n_items)."""
        return self.prior.blended_scores(self.als.user_factors[rows], self.als.item_factors, self.history[rows])
