"""One code path that judges every contestant: full catalogue, seen items excluded, the same users."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

from ..config import EvaluateConfig
from ..data.encoding import EncodedFold
from ..models.protocol import Recommender, Rows
from .metrics import METRICS, Floats, Ints, per_user, top_k
from .slices import Row, UserSlice, by_item_popularity, user_slices

log = logging.getLogger(__name__)
T = TypeVar("T")

# Scores of one block (32 MB), and of all blocks that are worked on at once; ranking copies a block once more.
# The layout of the blocks does not depend on the number of cores: a matrix product's last bits depend on its shape.
BLOCK_SCORES = 8_000_000
MAX_BLOCK_ROWS = 1_024
SCORES_IN_FLIGHT = 64_000_000
HISTORY_EDGES = (0, 1, 2, 3, 5, 10, 20, 50)


@dataclass(frozen=True)
class Task:
    """What is asked of the contestants.

    seen : CSR, shape (n_users, n_items), train interactions, which are not recommended again
    rows : int32, shape (n_judged,), train rows of the judged users
    held : for each judged user the held-out items as columns of `seen`; cold items are -1 and count in the denominator
    item_counts : int64, shape (n_items,), train interactions of each item
    slices : groups of the judged users, whose recall is told apart
    """

    seen: sparse.csr_matrix
    rows: Rows
    held_indptr: np.ndarray[Any, np.dtype[np.int64]]
    held_items: Ints
    item_counts: np.ndarray[Any, np.dtype[np.int64]]
    slices: tuple[UserSlice, ...] = ()

    @property
    def n_held(self) -> Ints:
        """Held-out items of each judged user, int32, shape (n_judged,)."""
        return np.diff(self.held_indptr).astype(np.int32)

    @property
    def history(self) -> Ints:
        """Train interactions of each judged user, int32, shape (n_judged,)."""
        return np.diff(self.seen.indptr)[self.rows].astype(np.int32)


@dataclass(frozen=True)
class Judged:
    """One contestant's outcome: means by "metric@K", and Recall@top_k of every judged user, float64.

    slices : Recall@top_k by kind of user; "popularity of the item" counts held-out interactions, not users
    """

    means: dict[str, float]
    recall: Floats
    by_history: list[dict[str, float]]
    seconds: float
    slices: dict[str, list[Row]]


def fold_task(fold: EncodedFold, config: EvaluateConfig) -> Task:
    """The judging task of a fold, with its users in slices; see `make_task`."""
    task = make_task(fold.matrix, fold.item_codes, fold.holdout_rows, fold.holdout_indptr, fold.holdout_items, config)
    return replace(task, slices=user_slices(fold, task.rows))


def make_task(
    matrix: sparse.csr_matrix,
    item_codes: Ints,
    holdout_rows: Rows,
    holdout_indptr: np.ndarray[Any, np.dtype[np.int64]],
    holdout_items: Ints,
    config: EvaluateConfig,
) -> Task:
    """The judging task of a fold, of all users with a holdout (one or more) or a seeded sample of them."""
    column = np.searchsorted(item_codes, holdout_items)
    known = item_codes[np.minimum(column, len(item_codes) - 1)] == holdout_items
    columns = np.where(known, column, -1).astype(np.int32)
    chosen = np.arange(len(holdout_rows))
    if config.max_users and len(chosen) > config.max_users:
        chosen = np.sort(np.random.default_rng(config.seed).choice(chosen, config.max_users, replace=False))
        log.info("Judging a seeded sample of %s of %s users", f"{len(chosen):,}", f"{len(holdout_rows):,}")
    held = [columns[holdout_indptr[user] : holdout_indptr[user + 1]] for user in chosen]
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in held])]).astype(np.int64)
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return Task(matrix, np.asarray(holdout_rows)[chosen], indptr, np.concatenate(held), counts)


def judge(contestants: Mapping[str, Recommender], task: Task, config: EvaluateConfig) -> dict[str, Judged]:
    """Every contestant on the same task."""
    outcome = {}
    for name, model in contestants.items():
        outcome[name] = _judge(model, task, config)
        log.info(
            "%-20s Recall@%d %.4f over %s users, %.1f s",
            name,
            config.top_k,
            outcome[name].means[f"recall@{config.top_k}"],
            f"{len(task.rows):,}",
            outcome[name].seconds,
        )
    return outcome


def _judge(model: Recommender, task: Task, config: EvaluateConfig) -> Judged:
    started = time.monotonic()
    best = recommend_all(model, task.seen, task.rows, max(config.ks))
    hits = _hits(best, task)
    means: dict[str, float] = {}
    recall = np.zeros(0)
    for k in config.ks:
        values = per_user(hits, task.n_held, k)
        means |= {f"{metric}@{k}": float(values[metric].mean()) for metric in METRICS}
        if k == config.top_k:
            recall = values["recall"]
    means |= _beyond_accuracy(best[:, : config.top_k], task, config.top_k)
    shown = best[:, : config.top_k]
    slices = {each.name: each.recalls(recall) for each in task.slices}
    found = shown[hits[:, : config.top_k]]
    held = task.held_items[task.held_items >= 0]
    slices["popularity of the item"] = by_item_popularity(task.item_counts, held, found, shown)
    return Judged(means, recall, by_history(recall, task.history), time.monotonic() - started, slices)


def recommend_all(model: Recommender, seen: sparse.csr_matrix, rows: Rows, k: int) -> Ints:
    """`recommend` for any number of users, in blocks on all cores; the result does not depend on how many there are."""
    return np.concatenate(in_blocks(lambda part: recommend(model, seen, part, k), rows, seen.shape[1]))


def in_blocks(work: Callable[[Rows], T], rows: Rows, n_items: int) -> list[T]:
    """What `work` makes of some users at a time, in their order, on all cores and with bounded memory."""
    from threadpoolctl import threadpool_limits

    block = max(1, min(MAX_BLOCK_ROWS, BLOCK_SCORES // n_items))
    workers = max(1, min(_n_cores(), SCORES_IN_FLIGHT // (block * n_items)))
    blocks = [rows[start : start + block] for start in range(0, len(rows), block)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, blocks))


def recall_of(best: Ints, task: Task, k: int) -> Floats:
    """Recall@k of each judged user, float64, from what was recommended to them, int32, shape (n_judged, k or more)."""
    return per_user(_hits(best, task), task.n_held, k)["recall"]


def _n_cores() -> int:
    """Cores that this process may use; macOS does not tell, and has no containers that would limit them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def recommend(model: Recommender, seen: sparse.csr_matrix, rows: Rows, k: int) -> Ints:
    """The k best unseen items of some users, best first; int32, shape (len(rows), k), -1 where there are no more."""
    scores = model.score(rows)
    history = seen[rows]
    at = np.repeat(np.arange(len(rows)), np.diff(history.indptr))
    scores[at, history.indices] = -np.inf
    return top_k(scores, k)


def _hits(best: Ints, task: Task) -> np.ndarray[Any, np.dtype[np.bool_]]:
    n_items = task.seen.shape[1]
    user = np.repeat(np.arange(len(task.rows)), task.n_held)
    known = task.held_items >= 0
    held = np.sort(user[known] * np.int64(n_items) + task.held_items[known])
    asked = np.arange(len(best))[:, None] * np.int64(n_items) + best
    place = np.searchsorted(held, asked)
    found = held[np.minimum(place, len(held) - 1)] == asked if len(held) else np.zeros(best.shape, dtype=bool)
    return np.asarray(found & (best >= 0))


def _beyond_accuracy(best: Ints, task: Task, k: int) -> dict[str, float]:
    """Coverage, novelty and popularity bias of the first k.

    Coverage: share of the catalogue recommended to anybody. Novelty: mean self-information, in bits, of the recommended
    items (Castells et al. 2015). Popularity bias: mean train count of the recommended over that of all interactions.
    All are 0 where nothing could be recommended to anybody.
    """
    shown = best[best >= 0]
    if len(shown) == 0:
        return {f"coverage@{k}": 0.0, f"novelty@{k}": 0.0, f"popularity_bias@{k}": 0.0}
    share = np.maximum(task.item_counts, 1) / max(1, task.item_counts.sum())
    typical = (task.item_counts * share).sum()
    return {
        f"coverage@{k}": len(np.unique(shown)) / task.seen.shape[1],
        f"novelty@{k}": float(-np.log2(share[shown]).mean()),
        f"popularity_bias@{k}": float(task.item_counts[shown].mean() / typical),
    }


def by_history(recall: Floats, history: Ints) -> list[dict[str, float]]:
    """Mean recall by the number of train interactions, in the brackets of HISTORY_EDGES."""
    bracket = np.searchsorted(HISTORY_EDGES, history, side="right") - 1
    return [
        {
            "from": HISTORY_EDGES[edge],
            "users": int((bracket == edge).sum()),
            "recall": float(recall[bracket == edge].mean()),
        }
        for edge in np.unique(bracket)
    ]
