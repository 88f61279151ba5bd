"""Stage -> type of the counts that other stages read; they are checked when a manifest is read."""

from __future__ import annotations

import msgspec

from ..data.counts import FoldCounts, ParseCounts, SnapshotCounts
from ..evaluation.outcomes import (
    ChoiceCounts,
    EvaluationCounts,
    GateCounts,
    NeighbourCounts,
    PopularityCounts,
    TrainingCounts,
)
from ..models.choice import Choice
from ..storage.documents import Share


class TrialCounts(msgspec.Struct, frozen=True):
    """Counts of tune_trial. choice : the judged model."""

    recall: Share
    coverage: Share
    choice: Choice


COUNTS: dict[str, type[msgspec.Struct]] = {
    "resolve_snapshot": SnapshotCounts,
    "parse_reviews": ParseCounts,
    "encode_interactions": FoldCounts,
    "train_als": TrainingCounts,
    "fit_popularity": PopularityCounts,
    "choose_model": ChoiceCounts,
    "fit_neighbours": NeighbourCounts,
    "fit_rivals": TrainingCounts,
    "evaluate": EvaluationCounts,
    "recall_gate": GateCounts,
    "tune_trial": TrialCounts,
}
