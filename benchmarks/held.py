"""Generated interactions with a part held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from include.recommender.config import EvaluateConfig
from include.recommender.evaluation.evaluate import Task, make_task
from include.recommender.models.histories import Histories

from .shop import Choices

VERIFIED, ALPHA, UNVERIFIED = 0.85, 100.0, 0.5
HELD_USERS = 10_000


@dataclass(frozen=True)
class HeldOut:
    """The confidences of train, float32 CSR, and the task to find the held-out items."""

    train: sparse.csr_matrix
    task: Task

    @classmethod
    def of(cls, choices: Choices, seed: int) -> HeldOut:
        """The last interaction of at most HELD_USERS users with three or more is held out."""
        order = np.lexsort((choices.items, choices.times_s, choices.users))
        users, first = np.unique(choices.users[order].astype(np.int64), return_index=True)
        ends = np.append(first[1:], len(order))
        several = np.flatnonzero(ends - first >= 3)
        rng = np.random.default_rng(seed)
        drawn = np.sort(rng.choice(several, min(HELD_USERS, len(several)), replace=False))
        kept = np.ones(len(order), dtype=bool)
        kept[ends[drawn] - 1] = False
        items = choices.items[order]
        confidence = 1 + ALPHA * np.where(rng.random(len(order)) < VERIFIED, 1.0, UNVERIFIED)
        rows = np.searchsorted(users, choices.users[order])
        shape = (len(users), int(choices.items.max()) + 1)
        some = (confidence[kept].astype(np.float32), (rows[kept], items[kept]))
        # A pair that was drawn twice counts once.
        train = sparse.csr_matrix(some, shape=shape)
        train.data = np.minimum(train.data, np.float32(1 + ALPHA))
        indptr = np.arange(len(drawn) + 1, dtype=np.int64)
        held = (drawn.astype(np.int32), indptr, items[ends[drawn] - 1])
        codes = np.arange(shape[1], dtype=np.int32)
        return cls(train, make_task(Histories.of(train), codes, *held, config=EvaluateConfig()))
