"""Popularity: the opponents that a candidate has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import PopularityConfig
from .protocol import Rows, Scores

DAY_S = 86_400


@dataclass(frozen=True)
class Popularity:
    """One ranking for everybody.

    strength : float64, shape (n_items,), the count in the window, or the decayed count
    order : int32, shape (n_items,), items from first to last: by strength, then all-time count, then item id
    """

    strength: np.ndarray[Any, np.dtype[np.float64]]
    order: np.ndarray[Any, np.dtype[np.int32]]

    def score(self, rows: Rows) -> Scores:
        """The negated rank, so that no two items tie; float32 holds it exactly below 2^24 items."""
        ranks = np.empty(len(self.order), dtype=np.float32)
        ranks[self.order] = -np.arange(len(self.order), dtype=np.float32)
        return np.tile(ranks, (len(rows), 1))


def fit_popularity(
    items: np.ndarray[Any, np.dtype[np.int32]],
    times: np.ndarray[Any, np.dtype[np.int64]],
    n_items: int,
    cut_s: int,
    config: PopularityConfig,
) -> dict[str, Popularity]:
    """All-time, recent windows before the cut, and exponentially decayed popularity, by name.

    Parameters
    ----------
    items : int32, shape (n_train,), item of each train interaction
    times : int64, shape (n_train,), its time in seconds
    cut_s : the instant that windows and ages are counted back from
    """
    age_days = (cut_s - times) / DAY_S
    counts = np.bincount(items, minlength=n_items).astype(np.float64)
    strengths: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {"popularity_all_time": counts}
    for days in config.windows_days:
        strengths[f"popularity_{days}d"] = np.bincount(items[age_days <= days], minlength=n_items).astype(np.float64)
    strengths["popularity_decayed"] = decayed_counts(items, times, n_items, cut_s, config.half_life_days)
    return {name: Popularity(strength, _order(strength, counts)) for name, strength in strengths.items()}


def decayed_counts(
    items: np.ndarray[Any, np.dtype[np.int32]],
    times: np.ndarray[Any, np.dtype[np.int64]],
    n_items: int,
    cut_s: int,
    half_life_days: float,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Interactions of each item, each counting 2^(-age / half-life), age at the cut; float64, shape (n_items,)."""
    weights = np.exp2(-((cut_s - times) / DAY_S) / half_life_days)
    return np.bincount(items, weights=weights, minlength=n_items).astype(np.float64)


def _order(strength: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
    # lexsort's last key is the first criterion, and it is stable: equal items stay in the order of their ids.
    return np.lexsort((-counts, -strength)).astype(np.int32)
