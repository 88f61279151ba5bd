"""Popularity: the baselines that a candidate has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import PopularityConfig
from .confidence import DAY_S
from .histories import Histories
from .protocol import Scores


@dataclass(frozen=True, kw_only=True)
class ItemInteractions:
    """The train interactions without their users, from which popularity is counted.

    items : int32, shape (n_train,), item of each interaction
    times : int64, shape (n_train,), its time in seconds
    n_items : size of the catalogue
    split_s : the split time in seconds; windows and ages count back from it
    """

    items: np.ndarray[Any, np.dtype[np.int32]]
    times: np.ndarray[Any, np.dtype[np.int64]]
    n_items: int
    split_s: int

    @property
    def age_days(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Age of each interaction at the split time, float64, shape (n_train,)."""
        return (self.split_s - self.times) / DAY_S

    def newer_than(self, days: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Interactions of each item in the last days before the split time, float64, shape (n_items,)."""
        return np.bincount(self.items[self.age_days <= days], minlength=self.n_items).astype(np.float64)

    def decayed(self, half_life_days: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Sum of 2^(-age / half-life) over the interactions of each item, float64, shape (n_items,)."""
        weights = np.exp2(-self.age_days / half_life_days)
        return np.bincount(self.items, weights=weights, minlength=self.n_items).astype(np.float64)


@dataclass(frozen=True)
class Popularity:
    """One ranking for everybody.

    counts : float64, shape (n_items,), the count in the window, or the decayed count
    order : int32, shape (n_items,), items from first to last: by count, then all-time count, then item id
    """

    counts: np.ndarray[Any, np.dtype[np.float64]]
    order: np.ndarray[Any, np.dtype[np.int32]]

    def score(self, histories: Histories) -> Scores:
        """The negated rank, so that no two items tie; float32 holds it exactly below 2^24 items."""
        ranks = np.empty(len(self.order), dtype=np.float32)
        ranks[self.order] = -np.arange(len(self.order), dtype=np.float32)
        return np.tile(ranks, (len(histories), 1))


def fit_popularity(train: ItemInteractions, config: PopularityConfig) -> dict[str, Popularity]:
    """All-time popularity, popularity in each window before the split time, and decayed popularity, by name."""
    all_time = train.newer_than(np.inf)
    counts = {"popularity_all_time": all_time}
    counts |= {f"popularity_{days}d": train.newer_than(days) for days in config.windows_days}
    counts["popularity_decayed"] = train.decayed(config.half_life_days)
    return {name: Popularity(found, _order(found, all_time)) for name, found in counts.items()}


def _order(counts: np.ndarray[Any, Any], all_time: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
    # lexsort's last key is the first criterion, and it is stable: equal items stay in the order of their ids.
    return np.lexsort((-all_time, -counts)).astype(np.int32)
