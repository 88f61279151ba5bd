"""The evaluation of every model, in one code path: full catalogue, seen items excluded, the same users."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..config import EvaluateConfig
from ..data.encoding import EncodedFold
from ..models.histories import Histories
from ..models.protocol import Rows, ScoringModel
from ..models.ranking import recommend_all
from .judgement import HistoryRow, ItemRow, Judgement, UserRow
from .metrics import METRICS, Floats, Ints, per_user
from .slices import UserSlice, by_item_popularity, user_slices

log = logging.getLogger(__name__)

HISTORY_EDGES = (0, 1, 2, 3, 5, 10, 20, 50)


@dataclass(frozen=True, kw_only=True)
class Task:
    """The judging task.

    rows : int32, shape (n_judged,), train rows of the judged users
    seen : train interactions of the judged users: models score from them and do not recommend them
    held : for each judged user the held-out items as columns of `seen`; cold items are -1 and count in the denominator
    item_counts : int64, shape (n_items,), train interactions of each item
    slices : groups of the judged users, whose recall is listed separately
    """

    rows: Rows
    seen: Histories
    held_indptr: np.ndarray[Any, np.dtype[np.int64]]
    held_items: Ints
    item_counts: np.ndarray[Any, np.dtype[np.int64]]
    slices: tuple[UserSlice, ...] = ()

    @property
    def n_held(self) -> Ints:
        """Held-out items of each judged user, int32, shape (n_judged,)."""
        return np.diff(self.held_indptr).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class ModelEvaluation:
    """One model's outcome: means by "metric@K", and Recall@top_k of every judged user, float64.

    slices : Recall@top_k by kind of user; by_popularity : by decile of the item, of held-out interactions, not users
    """

    means: dict[str, float]
    recall: Floats
    by_history: list[HistoryRow]
    seconds: float
    slices: dict[str, list[UserRow]]
    by_popularity: list[ItemRow]

    def stored(self) -> Judgement:
        """The stored part, as JSON."""
        return Judgement(
            means=self.means, by_history=self.by_history, slices=self.slices, by_popularity=self.by_popularity
        )


def fold_task(fold: EncodedFold, config: EvaluateConfig) -> Task:
    """The judging task of a fold, with its users in slices; see `make_task`."""
    held = fold.holdout_rows, fold.holdout_indptr, fold.holdout_items
    task = make_task(fold.histories, fold.item_codes, *held, config=config)
    return replace(task, slices=user_slices(fold, task.rows))


def make_task(
    histories: Histories,
    item_codes: Ints,
    holdout_rows: Rows,
    holdout_indptr: np.ndarray[Any, np.dtype[np.int64]],
    holdout_items: Ints,
    *,
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
    rows = np.asarray(holdout_rows)[chosen]
    return Task(
        rows=rows,
        seen=histories.take(rows),
        held_indptr=indptr,
        held_items=np.concatenate(held),
        item_counts=np.bincount(histories.items, minlength=histories.n_items),
    )


def judge(
    models: Mapping[str, ScoringModel], task: Task, config: EvaluateConfig, histories: Histories | None = None
) -> dict[str, ModelEvaluation]:
    """Judge every model on the same task.

    Parameters
    ----------
    histories : histories to score from; None: `task.seen`
    """
    outcome = {}
    for name, model in models.items():
        judged = outcome[name] = _judge(model, task, config, task.seen if histories is None else histories)
        metric = f"recall@{config.top_k}"
        recall = f"{metric.capitalize()} {judged.means[metric]:.4f} over {len(task.rows):,} users"
        log.info("%-20s %s, %.1f s", name, recall, judged.seconds)
    return outcome


def _judge(model: ScoringModel, task: Task, config: EvaluateConfig, histories: Histories) -> ModelEvaluation:
    started = time.monotonic()
    best = recommend_all(model, histories, task.seen, max(config.ks))
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
    return ModelEvaluation(
        means=means,
        recall=recall,
        by_history=by_history(recall, task.seen.sizes),
        seconds=time.monotonic() - started,
        slices=slices,
        by_popularity=by_item_popularity(task.item_counts, held, found, shown),
    )


def recall_of(best: Ints, task: Task, k: int) -> Floats:
    """Recall@k of each judged user, float64, from their recommendations, int32, shape (n_judged, k or more)."""
    return per_user(_hits(best, task), task.n_held, k)["recall"]


def _hits(best: Ints, task: Task) -> np.ndarray[Any, np.dtype[np.bool_]]:
    n_items = task.seen.n_items
    user = np.repeat(np.arange(len(task.rows)), task.n_held)
    known = task.held_items >= 0
    held = np.sort(user[known] * np.int64(n_items) + task.held_items[known])
    shown = np.arange(len(best))[:, None] * np.int64(n_items) + best
    place = np.searchsorted(held, shown)
    found = held[np.minimum(place, len(held) - 1)] == shown if len(held) else np.zeros(best.shape, dtype=bool)
    return np.asarray(found & (best >= 0))


def _beyond_accuracy(best: Ints, task: Task, k: int) -> dict[str, float]:
    """Coverage, novelty and popularity bias of the first k.

    Coverage: share of the catalogue recommended to anybody. Novelty: mean self-information, in bits, of the recommended
    items (Castells et al. 2015). Popularity bias: mean train count of the recommended over that of all interactions.
    All are 0 if there are no recommendations.
    """
    shown = best[best >= 0]
    if len(shown) == 0:
        return {f"coverage@{k}": 0.0, f"novelty@{k}": 0.0, f"popularity_bias@{k}": 0.0}
    share = np.maximum(task.item_counts, 1) / max(1, task.item_counts.sum())
    typical = (task.item_counts * share).sum()
    return {
        f"coverage@{k}": len(np.unique(shown)) / task.seen.n_items,
        f"novelty@{k}": float(-np.log2(share[shown]).mean()),
        f"popularity_bias@{k}": float(task.item_counts[shown].mean() / typical),
    }


def by_history(recall: Floats, history: Ints) -> list[HistoryRow]:
    """Mean recall by the number of train interactions, in the brackets of HISTORY_EDGES."""
    bracket = np.searchsorted(HISTORY_EDGES, history, side="right") - 1
    return [
        HistoryRow(HISTORY_EDGES[edge], int((bracket == edge).sum()), float(recall[bracket == edge].mean()))
        for edge in np.unique(bracket)
    ]
