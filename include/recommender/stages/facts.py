"""Stage -> what other stages rely on of its counts: checked once, when a manifest is read."""

from __future__ import annotations

import msgspec

from ..data.counts import FoldCounts, ParseCounts, Resolved
from ..evaluation.outcomes import Evaluated, Gated, Learned, Popular, Trained
from ..storage.documents import Share


class Tried(msgspec.Struct, frozen=True):
    """Of tune_trial."""

    recall: Share
    coverage: Share


COUNTS: dict[str, type[msgspec.Struct]] = {
    "resolve_snapshot": Resolved,
    "parse_reviews": ParseCounts,
    "encode_interactions": FoldCounts,
    "train_als": Trained,
    "fit_popularity": Popular,
    "learn_prior": Learned,
    "evaluate": Evaluated,
    "recall_gate": Gated,
    "tune_trial": Tried,
}
