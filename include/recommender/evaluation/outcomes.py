"""What stages rely on of each other's counts, from training to the gate. A stage may count more."""

from __future__ import annotations

import msgspec

from ..registry.verdict import ComparedVersion, How, Name
from ..storage.documents import Count, Decision, ModelId
from .learned_prior import LearnedPrior


class TrainingCounts(msgspec.Struct, frozen=True):
    """Of train_als: what the factors began with, and the seconds of each iteration."""

    start: str
    seconds_per_iteration: list[float]


class PopularityCounts(msgspec.Struct, frozen=True):
    """Of fit_popularity: the names of the rankings, which its files bear."""

    names: list[Name]


class PriorCounts(msgspec.Struct, frozen=True):
    """Of learn_prior."""

    prior: LearnedPrior


class EvaluationCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Of evaluate: the names of the models, which its files bear, and the champion."""

    models: list[Name]
    champion: str
    champion_how: How
    champion_id: ModelId | None
    judged_users: Count
    versions: list[ComparedVersion]
    not_compared: dict[str, str]


class GateCounts(msgspec.Struct, frozen=True):
    """Of recall_gate: its decision, whether the promotion is forced, and the verdict in a sentence."""

    decision: Decision
    forced: bool
    headline: str
