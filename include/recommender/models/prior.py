"""The item prior: recent popularity in the score. The one scoring function of evaluation, batch and online."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import PriorConfig
from .als import Als
from .fold_in import fold_in
from .histories import Histories, Ints
from .popularity import ItemInteractions
from .protocol import Scores

Counts = np.ndarray[Any, np.dtype[np.float64]]

# Share of the most popular item. An item without recent interactions is unlikely, not impossible.
FLOOR = 1e-4
# Smaller multipliers would become zero in float32, and all their items equal.
LEAST_MULTIPLIER = 1e-30
# Histories at least this long are one bracket: the power has all but reached its limit.
LONG_HISTORY = 10
# Of an ItemPrior: its popularity, float64, and its multipliers, float32.
BYTES_AN_ITEM = 8 + 4 * LONG_HISTORY


def fit_prior(train: ItemInteractions, config: PriorConfig) -> Counts:
    """Exponentially decayed counts of the train interactions, float64, shape (n_items,)."""
    return train.decayed(config.half_life_days)


@dataclass(frozen=True)
class ItemPrior:
    """How likely each item is now, for any user.

    popularity : float64, shape (n_items,), decayed counts
    multipliers : float32, shape (LONG_HISTORY, n_items), what scores are multiplied by; row n - 1 for users with n
        interactions, the last row for all with more
    """

    popularity: Counts
    multipliers: Scores

    @classmethod
    def of(cls, popularity: Counts, config: PriorConfig) -> ItemPrior:
        """(popularity / the largest)^(power * (1 + short_history / n)), from FLOOR^... or LEAST_MULTIPLIER to 1."""
        largest = popularity.max(initial=0.0)
        logs = np.log(np.maximum(popularity / largest, FLOOR)) if largest > 0 else np.zeros(len(popularity))
        powers = config.power * (1 + config.short_history / np.arange(1, LONG_HISTORY + 1))
        exponents = np.maximum(powers[:, None] * logs, np.log(LEAST_MULTIPLIER))
        return cls(popularity, np.exp(exponents).astype(np.float32))

    def blend(
        self,
        taste: Scores,
        sizes: Ints,
        unknown: np.ndarray[Any, np.dtype[np.bool_]],
        out: Scores | None = None,
    ) -> Scores:
        """Taste times prior: (x_u . y_i) * multiplier_i. Users without known interactions get the prior itself.

        A product of experts (Hinton 2002): an item has to suit the user and the time. The shorter the history, the more
        the prior weighs; without a history only the prior counts. As x_u . (multiplier_i y_i) it is still an inner
        product.

        Parameters
        ----------
        taste : x_u . y_i, float32, shape (n, n_items)
        sizes : int32, shape (n,), known interactions of each user
        unknown : bool, shape (n,), users without known interactions
        out : receives the scores, possibly `taste` itself; None allocates a new array

        Returns
        -------
        float32, shape (n, n_items)
        """
        scores = np.empty_like(taste) if out is None else out
        bracket = np.clip(sizes, 1, LONG_HISTORY)
        for n in np.unique(bracket):
            own = np.flatnonzero(bracket == n)
            scores[own] = taste[own] * self.multipliers[n - 1]
        scores[unknown] = self.popularity.astype(np.float32)
        return scores


@dataclass(frozen=True)
class PriorAls:
    """ALS with an item prior."""

    als: Als
    prior: ItemPrior

    def score(self, histories: Histories) -> Scores:
        """See `ItemPrior.blend`; float32, shape (len(histories), n_items)."""
        tastes = fold_in(histories, self.als.whitened)
        scores = self.als.whitened.scores(tastes)
        return self.prior.blend(scores, histories.sizes, np.logical_not(tastes.any(axis=1)), out=scores)
