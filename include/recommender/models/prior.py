"""The item prior: recent popularity in the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import PriorConfig
from .histories import Ints
from .popularity import ItemInteractions
from .protocol import Doubles, Scores

Flags = np.ndarray[Any, np.dtype[np.bool_]]
ItemPopularity = np.ndarray[Any, np.dtype[np.float64]]

# Share of the most popular item. An item without recent interactions is unlikely, not impossible.
FLOOR = 1e-4
# Smaller multipliers would become zero in float32, and all their items equal.
LEAST_MULTIPLIER = 1e-30
# Histories at least this long are one bracket: the power has all but reached its limit.
LONG_HISTORY = 10
EVERY = slice(None)


def fit_prior(train: ItemInteractions, config: PriorConfig) -> ItemPopularity:
    """Exponentially decayed counts of the train interactions, float64, shape (n_items,)."""
    return train.decayed(config.half_life_days)


def brackets(sizes: Ints) -> Ints:
    """The row of `multipliers` of users with so many interactions."""
    return np.minimum(np.maximum(sizes, 1), LONG_HISTORY) - 1


def log_popularity(popularity: ItemPopularity) -> Doubles:
    """log(popularity / the largest), from log FLOOR to 0, float64, shape (n_items,)."""
    largest = popularity.max(initial=0.0)
    if largest <= 0:
        return np.zeros(len(popularity))
    found: Doubles = np.log(np.maximum(popularity / largest, FLOOR))
    return found


@dataclass(frozen=True)
class ItemPrior:
    """How likely each item is now, for any user.

    popularity : float64, shape (n_items,), decayed counts
    multipliers : float32, shape (LONG_HISTORY, n_items), what scores are multiplied by; row n - 1 for users with n
        interactions, the last row for all with more
    """

    popularity: ItemPopularity
    multipliers: Scores

    @classmethod
    def of(cls, popularity: ItemPopularity, config: PriorConfig) -> ItemPrior:
        """(popularity / the largest)^(power * (1 + short_history / n)), from FLOOR^... or LEAST_MULTIPLIER to 1."""
        logs = log_popularity(popularity)
        powers = config.power * (1 + config.short_history / np.arange(1, LONG_HISTORY + 1))
        exponents = np.maximum(powers[:, None] * logs, np.log(LEAST_MULTIPLIER))
        return cls(popularity, np.exp(exponents).astype(np.float32))

    @classmethod
    def none(cls, n_items: int) -> ItemPrior:
        """No item is likelier than another."""
        return cls(np.ones(n_items), np.ones((LONG_HISTORY, n_items), dtype=np.float32))

    def blend(self, taste: Scores, sizes: Ints, unknown: Flags, items: Ints | slice = EVERY) -> None:
        """Taste times prior: (x_u . y_i) * multiplier_i. Users without known interactions get the prior itself.

        A product of experts (Hinton 2002): an item has to suit the user and the time. The shorter the history, the more
        the prior weighs; without a history only the prior counts. As x_u . (multiplier_i y_i) it is still an inner
        product.

        Parameters
        ----------
        taste : x_u . y_i, float32, shape (n, any), of `items`; becomes the scores
        sizes : int32, shape (n,), known interactions of each user
        unknown : bool, shape (n,), users without known interactions
        """
        # Row by row: the multipliers of all users would be as many numbers as their scores.
        for row, bracket in zip(taste, brackets(sizes), strict=True):
            row *= self.multipliers[bracket, items]
        if unknown.any():
            taste[unknown] = self.popularity[items].astype(np.float32)

    def take(self, items: Ints) -> ItemPrior:
        """The prior of some items, in their order."""
        return ItemPrior(self.popularity[items], np.ascontiguousarray(self.multipliers[:, items]))

    def multiplier(self, size: int, item: int) -> float:
        """Of one item, for a user with `size` known interactions."""
        return float(self.multipliers[min(max(size, 1), LONG_HISTORY) - 1, item])
