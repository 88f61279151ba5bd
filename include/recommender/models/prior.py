"""The item prior: recent popularity in the score. The one scoring function of evaluation, batch and online."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..config import PriorConfig
from .als.taste import Als, AlsScoring
from .histories import Histories, Ints
from .popularity import ItemInteractions
from .protocol import Rows, Scores
from .whitening import Doubles, Whitened, suffix_max

Flags = np.ndarray[Any, np.dtype[np.bool_]]
ItemPopularity = np.ndarray[Any, np.dtype[np.float64]]

# Share of the most popular item. An item without recent interactions is unlikely, not impossible.
FLOOR = 1e-4
# Smaller multipliers would become zero in float32, and all their items equal.
LEAST_MULTIPLIER = 1e-30
# Histories at least this long are one bracket: the power has all but reached its limit.
LONG_HISTORY = 10
EVERY = slice(None)
_OF_ITEMS, _OF_PRIOR = ("vectors", "order", "place", "back"), ("popularity", "multipliers")
ARRAYS = _OF_ITEMS + _OF_PRIOR


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


@dataclass(frozen=True)
class PriorAls:
    """ALS with an item prior."""

    als: Als
    prior: ItemPrior

    def score(self, histories: Histories) -> Scores:
        """See `ItemPrior.blend`; float32, shape (len(histories), n_items)."""
        scoring = self.scoring(histories)
        scores = self.als.whitened.scores(scoring.tastes)
        self.prior.blend(scores, scoring.sizes, scoring.unknown)
        return scores

    def scoring(self, histories: Histories) -> PriorScoring:
        """What is computed once for some histories."""
        return self.scoring_of(self.als.scoring(histories), histories.sizes)

    def scoring_of(self, of_taste: AlsScoring, sizes: Ints) -> PriorScoring:
        """The same of users whose taste is known; sizes : int32, shape (n,), their known interactions."""
        return PriorScoring(of_taste, self, sizes)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """All that the model is, by the names of `ARRAYS`, so that processes can share it in files."""
        parts = [
            *(getattr(self.als.whitened, name) for name in _OF_ITEMS),
            *(getattr(self.prior, name) for name in _OF_PRIOR),
        ]
        return dict(zip(ARRAYS, parts, strict=True))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]]) -> PriorAls:
        """The model that `arrays` describes."""
        whitened = Whitened(**{name: arrays[name] for name in _OF_ITEMS})
        return cls(Als(whitened), ItemPrior(**{name: arrays[name] for name in _OF_PRIOR}))

    @cached_property
    def ordered_prior(self) -> ItemPrior:
        """The prior in the order of the vectors."""
        return self.prior.take(self.als.whitened.order)

    @cached_property
    def reach(self) -> Doubles:
        """The largest |y~| times multiplier from each chunk on, float64, shape (LONG_HISTORY, n_chunks)."""
        return suffix_max(self.als.whitened.lengths * self.ordered_prior.multipliers)

    @cached_property
    def popularity_reach(self) -> Doubles:
        """The largest popularity from each chunk on, float64, shape (n_chunks,)."""
        return suffix_max(self.ordered_prior.popularity)


@dataclass(frozen=True)
class PriorScoring:
    """Tastes of some users and the model. sizes : int32, shape (n,), their known interactions."""

    of_taste: AlsScoring
    model: PriorAls
    sizes: Ints

    @property
    def tastes(self) -> Doubles:
        """float64, shape (n, n_factors)."""
        return self.of_taste.tastes

    @cached_property
    def unknown(self) -> Flags:
        """bool, shape (n,), users of whom nothing is known."""
        return np.logical_not(self.tastes.any(axis=1))

    @property
    def order(self) -> Ints:
        """See `Scoring`."""
        return self.of_taste.order

    @property
    def place(self) -> Ints:
        """See `Scoring`."""
        return self.of_taste.place

    def upper(self, start: int, out: Scores) -> None:
        """See `Scoring`: rounding keeps the order, so a bound times the multiplier bounds the score."""
        self.of_taste.upper(start, out)
        self.model.ordered_prior.blend(out, self.sizes, self.unknown, slice(start, start + out.shape[1]))

    def limits(self) -> Doubles:
        """See `Scoring`."""
        found: Doubles = self.of_taste.reach[:, None] * self.model.reach[brackets(self.sizes)]
        found[self.unknown] = self.model.popularity_reach * (1 + 1e-6)
        return found

    def exact(self, rows: Rows, items: Ints) -> Scores:
        """See `Scoring`."""
        scores = self.of_taste.exact(rows, items)
        scores *= self.model.prior.multipliers[brackets(self.sizes[rows]), items]
        unknown = self.unknown[rows]
        scores[unknown] = self.model.prior.popularity[items[unknown]]
        return scores

    def follows(self, rows: Rows, leaders: Rows, floors: Doubles) -> Doubles:
        """See `Scoring`: both users have the same multipliers, of at most 1."""
        found = self.of_taste.follows(rows, leaders, floors)
        found[self.unknown[rows] | self.unknown[leaders]] = np.inf
        return found
