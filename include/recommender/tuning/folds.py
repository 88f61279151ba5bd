"""Points in time inside the train part: where trials are judged. The gate's holdout is out of reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..config import EncodeConfig
from ..data.encoding import EncodedFold, filter_rare
from ..data.interactions import Reviews
from ..data.split import before, deduplicate, time_split
from ..errors import DataError

# Share of train that the earliest point in time knows.
EARLIEST = 0.6


def inner_instants(reviews: Reviews, as_of_s: int, config: EncodeConfig, n: int) -> list[int]:
    """n + 1 instants, ascending, in seconds; the last is the cut of a retraining at `as_of_s`.

    A fold as of any of them knows nothing of what that retraining would hold out. Between EARLIEST and all of train
    they lie at equal numbers of interactions.

    Raises
    ------
    DataError
        Train is too short to be cut that often.
    """
    interactions = deduplicate(before(reviews, as_of_s))
    cut_s = time_split(interactions, config.holdout_fraction).cut_s
    times = np.sort(interactions.time[interactions.time < cut_s])
    shares = np.linspace(EARLIEST, 1.0, n + 1)[:-1]
    instants = [int(times[int(share * len(times))]) for share in shares] + [cut_s]
    if len(set(instants)) <= n or instants[0] <= times[0]:
        raise DataError(
            f"The {len(times):,} interactions before the cut lie at too few instants for cuts={n}. Take fewer cuts, or "
            "bring a longer history."
        )
    return instants


def without_rare(fold: EncodedFold, config: EncodeConfig) -> EncodedFold:
    """The fold's train part without rare users and items, in the same rows and columns.

    Whoever is left out has an empty row or column: the judged users stay the same for all trials, and are served the
    prior where a trial knows nothing of them.
    """
    if config.min_user_interactions <= 1 and config.min_item_interactions <= 1:
        return fold
    rows = np.repeat(np.arange(len(fold.user_codes), dtype=np.int32), fold.history)
    entries = np.arange(len(rows))
    train = Reviews(rows, fold.indices, entries, fold.ratings, fold.verified)
    kept = filter_rare(train, config.min_user_interactions, config.min_item_interactions)[0].time
    counts = np.bincount(rows[kept], minlength=len(fold.user_codes))
    return replace(
        fold,
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        indices=fold.indices[kept],
        confidence=fold.confidence[kept],
        times=fold.times[kept],
        ratings=fold.ratings[kept],
        verified=fold.verified[kept],
    )
