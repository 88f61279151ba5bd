"""Recall by kind of user and by popularity of item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..data.encoding import EncodedFold
from ..data.layouts import UNKNOWN, VERIFIED
from ..models.confidence import DAY_S
from .judgement import ItemRow, UserRow
from .metrics import Floats, Ints

IDLE_EDGES_DAYS = (0, 30, 90, 180, 365, 730)
N_DECILES = 10


@dataclass(frozen=True)
class UserSlice:
    """The judged users in groups. bracket : int, shape (n_judged,), position in `labels`, -1 for none of them."""

    name: str
    labels: Sequence[str]
    bracket: np.ndarray[Any, np.dtype[np.integer[Any]]]

    def recalls(self, recall: Floats) -> list[UserRow]:
        """Rows (label, users, recall) of the groups that have users."""
        return [
            UserRow(label, int(own.sum()), float(recall[own].mean()))
            for label, own in ((label, self.bracket == at) for at, label in enumerate(self.labels))
            if own.any()
        ]


def user_slices(fold: EncodedFold, rows: Ints) -> tuple[UserSlice, ...]:
    """Slices of the users by days without activity before the split time and by the share of verified purchases."""
    at, starts = _interactions_of(fold, rows)
    idle = (fold.split_s - np.maximum.reduceat(fold.times[at], starts)) / DAY_S
    labels = [f"{low} to {high} days" for low, high in pairwise(IDLE_EDGES_DAYS)]
    active = UserSlice(
        "days since the last interaction",
        [*labels, f"{IDLE_EDGES_DAYS[-1]} days or more"],
        np.searchsorted(IDLE_EDGES_DAYS, idle, side="right") - 1,
    )
    return active, UserSlice(
        "verified share of the history", VERIFIED_LABELS, _verified_bracket(fold.verified[at], starts)
    )


VERIFIED_LABELS = ("not known", "none", "up to half", "more than half", "all")


def _interactions_of(fold: EncodedFold, rows: Ints) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions of the train interactions of some users, user after user, and the start of each user in them.

    Every user in train has one or more; without one, `reduceat` would read the next user's.
    """
    sizes = fold.history[rows].astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + np.repeat(fold.indptr[rows] - starts, sizes), starts


def _verified_bracket(verified: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]) -> Ints:
    n_known, n_verified = (
        np.add.reduceat(which.astype(np.int32), starts) for which in (verified != UNKNOWN, verified == VERIFIED)
    )
    conditions = [n_known == 0, n_verified == 0, n_verified == n_known, 2 * n_verified <= n_known]
    return np.select(conditions, [0, 1, 4, 2], default=3).astype(np.int32)


def item_deciles(counts: np.ndarray[Any, Any]) -> Ints:
    """Decile of each item by train interactions, int32, shape (n_items,), 0 to 9.

    Items are sorted from the most to the least popular, equal ones by position. Each decile holds a tenth of all
    interactions, so decile 0 are the few most popular items.
    """
    order = np.argsort(-counts, kind="stable")
    mass = np.cumsum(counts[order]) - counts[order]
    deciles = np.empty(len(counts), dtype=np.int32)
    deciles[order] = np.minimum(mass * N_DECILES // max(1, int(counts.sum())), N_DECILES - 1)
    return deciles


def by_item_popularity(
    counts: np.ndarray[Any, Any], held: Ints, found: np.ndarray[Any, Any], best: Ints
) -> list[ItemRow]:
    """Rows on held-out, found and recommended items, by popularity of the item.

    Parameters
    ----------
    counts : train interactions, shape (n_items,)
    held : items of the held-out interactions on known items, shape (n_held,)
    found : items of those that were in the top K
    best : recommended items, shape (n_judged, K), -1 if there were no more

    Returns
    -------
    One row a decile: items, held-out interactions, share of them found, and share of all recommendations
    """
    decile, shown = item_deciles(counts), best[best >= 0]
    size, n_held, n_found, n_shown = (
        np.bincount(values, minlength=N_DECILES) for values in (decile, decile[held], decile[found], decile[shown])
    )
    return [
        ItemRow(
            label=f"{at + 1}{' (hits)' if at == 0 else ' (rare)' if at == N_DECILES - 1 else ''}",
            items=int(size[at]),
            held_out=int(n_held[at]),
            recall=float(n_found[at] / n_held[at]) if n_held[at] else None,
            shown=float(n_shown[at] / max(1, len(shown))),
        )
        for at in range(N_DECILES)
    ]
