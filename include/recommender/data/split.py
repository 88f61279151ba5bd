"""as_of, de-duplication and the time split: what a run trains on, and what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .reviews import Reviews


def before(reviews: Reviews, as_of_s: int) -> Reviews:
    """Return the reviews before `as_of_s` (seconds)."""
    return reviews.take(reviews.time < as_of_s)


def deduplicate(reviews: Reviews) -> Reviews:
    """Return one interaction for each (user, item), sorted by user, item.

    Time and rating are those of the earliest review (of two at one instant, the lower rating); verified if any was.
    """
    order = np.lexsort((reviews.rating, reviews.time, reviews.item, reviews.user))
    rows = reviews.take(order)
    if len(rows) == 0:
        return rows
    first = np.empty(len(rows), dtype=bool)
    first[0] = True
    np.not_equal(rows.user[1:], rows.user[:-1], out=first[1:])
    first[1:] |= rows.item[1:] != rows.item[:-1]
    verified = np.maximum.reduceat(rows.verified, np.flatnonzero(first))
    kept = rows.take(first)
    return Reviews(user=kept.user, item=kept.item, time=kept.time, rating=kept.rating, verified=verified)


@dataclass(frozen=True)
class Fold:
    """Train and holdout, and the instant between them: train time < split_s <= holdout time < as_of."""

    train: Reviews
    holdout: Reviews
    split_s: int


def time_split(interactions: Reviews, holdout_fraction: float) -> Fold:
    """Hold out the newest share of the interactions; all of one instant fall on the same side.

    With `holdout_fraction` 0 everything is train, and the split time is one second after the newest interaction. It is
    not as_of: ages count back from the split time, and as_of may be years after the data ends.

    Raises
    ------
    DataError
        The holdout or the train part would be empty.
    """
    n = len(interactions)
    if n == 0:
        raise DataError("No interaction lies before as_of: choose a later as_of, or a snapshot with older reviews.")
    if holdout_fraction == 0:
        return Fold(interactions, interactions.take(slice(0, 0)), int(interactions.time.max()) + 1)
    rank = min(n - 1, round(n * (1 - holdout_fraction)))
    split_s = int(np.partition(interactions.time, rank)[rank])
    held: np.ndarray[Any, np.dtype[np.bool_]] = interactions.time >= split_s
    if held.all():
        raise DataError(
            f"The {n:,} interactions before as_of leave no train part at holdout_fraction={holdout_fraction:g}: they "
            "lie at too few instants. More history is needed, or a smaller holdout_fraction."
        )
    return Fold(interactions.take(~held), interactions.take(held), split_s)
