"""A time split inside the train part, for learning parameters without the holdout of the gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..config import EncodeConfig
from .encoding import EncodedFold

Flags = np.ndarray[Any, np.dtype[np.bool_]]

# Of what is asked: with fewer older interactions, a time split says little.
LEAST_SHARE = 0.5


def inner_fold(fold: EncodedFold, config: EncodeConfig, max_interactions: int, seed: int) -> EncodedFold | None:
    """Split the train part of a fold again: its newest `holdout_fraction` is the inner holdout.

    Where train lies at too few instants for that, as many interactions are drawn at random; see `_by_time`.
    Users keep their rows, also those without an interaction before the inner split time; such items have no column.
    Confidences are those of `config` at the inner split time. If there are more than `max_interactions`, whole users
    are sampled.

    Returns
    -------
    None if no user would be judged: no user has interactions on both sides, or none was sampled
    """
    rows = fold.histories.rows
    kept = _drawn(fold, max_interactions, seed)[rows]
    n = int(kept.sum())
    if n == 0:
        return None
    fraction = config.holdout_fraction or EncodeConfig().holdout_fraction
    before, split_s = _by_time(fold, kept, fraction) or _at_random(fold, kept, fraction, seed)
    after = kept & ~before
    older = fold.only(before)
    judged = after & (older.history[rows] > 0)
    if not judged.any():
        return None
    users, held = np.unique(rows[judged], return_counts=True)
    seen = np.bincount(older.indices, minlength=len(fold.item_codes)) > 0
    # A held-out item without an inner interaction is cold: -1 is no item's code.
    items = np.where(seen[fold.indices[judged]], fold.item_codes[fold.indices[judged]], -1).astype(np.int32)
    split = replace(
        older,
        item_codes=fold.item_codes[seen],
        indices=(np.cumsum(seen, dtype=np.int32) - 1)[older.indices],
        holdout_rows=users.astype(np.int32),
        holdout_indptr=np.concatenate([[0], np.cumsum(held)]).astype(np.int64),
        holdout_items=items,
        stats={"split_s": split_s, "train": len(older.times), "judged_users": len(users)},
    )
    return split.reweighed(config)


def _by_time(fold: EncodedFold, kept: Flags, fraction: float) -> tuple[Flags, int] | None:
    """Mask of the older interactions and the instant after them; None if less than half of what was asked is older."""
    n = int(kept.sum())
    rank = min(n - 1, round(n * (1 - fraction)))
    split_s = int(np.partition(fold.times[kept], rank)[rank])
    before = kept & (fold.times < split_s)
    return (before, split_s) if before.sum() >= LEAST_SHARE * rank else None


def _at_random(fold: EncodedFold, kept: Flags, fraction: float, seed: int) -> tuple[Flags, int]:
    """Mask of interactions that are not held out, and the split time of the fold, from which ages still count."""
    drawn = np.random.default_rng(seed).random(len(kept)) >= fraction
    return kept & drawn, fold.split_s


def _drawn(fold: EncodedFold, max_interactions: int, seed: int) -> Flags:
    """Mask of the sampled users, bool, shape (n_users,)."""
    if len(fold.times) <= max_interactions:
        return np.ones(len(fold.user_codes), dtype=bool)
    order = np.random.default_rng(seed).permutation(len(fold.user_codes))
    drawn = np.zeros(len(fold.user_codes), dtype=bool)
    drawn[order[np.cumsum(fold.history[order]) <= max_interactions]] = True
    return drawn
