"""Popularity: the baselines that a candidate has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import PopularityConfig
from .confidence import DAY_S
from .histories import Histories
from .protocol import Scores


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


def fit_popularity(
    items: np.ndarray[Any, np.dtype[np.int32]],
    times: np.ndarray[Any, np.dtype[np.int64]],
    n_items: int,
    split_s: int,
    config: PopularityConfig,
) -> dict[str, Popularity]:
    """All-time, recent windows before the split time, and exponentially decayed popularity, by name.

    Parameters
    ----------
    items : int32, shape (n_train,), item of each train interaction
    times : int64, shape (n_train,), its time in seconds
    split_s : the instant that windows and ages are counted back from
    """
    age_days = (split_s - times) / DAY_S
    all_time = np.bincount(items, minlength=n_items).astype(np.float64)
    counts: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {"popularity_all_time": all_time}
    for days in config.windows_days:
        counts[f"popularity_{days}d"] = np.bincount(items[age_days <= days], minlength=n_items).astype(np.float64)
    counts["popularity_decayed"] = decayed_counts(items, times, n_items, split_s, config.half_life_days)
    return {name: Popularity(found, _order(found, all_time)) for name, found in counts.items()}


def decayed_counts(
    items: np.ndarray[Any, np.dtype[np.int32]],
    times: np.ndarray[Any, np.dtype[np.int64]],
    n_items: int,
    split_s: int,
    half_life_days: float,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Sum of 2^(-age at the split time / half-life) over the interactions of each item; float64, shape (n_items,)."""
    weights = np.exp2(-((split_s - times) / DAY_S) / half_life_days)
    return np.bincount(items, weights=weights, minlength=n_items).astype(np.float64)


def _order(counts: np.ndarray[Any, Any], all_time: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
    # lexsort's last key is the first criterion, and it is stable: equal items stay in the order of their ids.
    return np.lexsort((-all_time, -counts)).astype(np.int32)
