"""Stage -> type of the counts that other stages read; they are checked when a manifest is read."""

from __future__ import annotations

import msgspec

from ..data.counts import FoldCounts, ParseCounts, SnapshotCounts
from ..evaluation.outcomes import EvaluationCounts, GateCounts, PopularityCounts, PriorCounts, TrainingCounts
from ..storage.documents import Share


class TrialCounts(msgspec.Struct, frozen=True):
    """Counts of tune_trial."""

    recall: Share
    coverage: Share


COUNTS: dict[str, type[msgspec.Struct]] = {
    "resolve_snapshot": SnapshotCounts,
    "parse_reviews": ParseCounts,
    "encode_interactions": FoldCounts,
    "train_als": TrainingCounts,
    "fit_popularity": PopularityCounts,
    "learn_prior": PriorCounts,
    "evaluate": EvaluationCounts,
    "recall_gate": GateCounts,
    "tune_trial": TrialCounts,
}
