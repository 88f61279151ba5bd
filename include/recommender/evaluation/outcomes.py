"""The counts that stages read from each other's manifests, from training to the gate. A stage may store more."""

from __future__ import annotations

import msgspec

from ..registry.verdict import ComparedVersion, How, Name
from ..storage.documents import Count, Decision, ModelId
from .chosen import ChosenModel


class TrainingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of train_als and fit_rivals: the initial factors, the loss after the last iteration, the seconds of each.

    start : "cold", or the source of the initial factors; warm_items : the items that it has
    """

    start: str
    warm_items: Count = 0
    iterations: Count
    loss: float
    seconds_per_iteration: list[float]


class PopularityCounts(msgspec.Struct, frozen=True):
    """Counts of fit_popularity: the names of the rankings, which are also its file names."""

    names: list[Name]


class ChoiceCounts(msgspec.Struct, frozen=True):
    """Counts of choose_model."""

    chosen: ChosenModel


class NeighbourCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of fit_neighbours: items, neighbours of all of them, and whether those of the rival are stored beside."""

    items: Count
    neighbours: Count
    rival: bool


class EvaluationCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of evaluate: the names of the models, which are also in its file names, and the champion."""

    models: list[Name]
    champion: str
    champion_how: How
    champion_id: ModelId | None
    judged_users: Count
    versions: list[ComparedVersion]
    not_compared: dict[str, str]


class GateCounts(msgspec.Struct, frozen=True):
    """Counts of recall_gate: its decision, whether the promotion is forced, and the verdict as a sentence."""

    decision: Decision
    forced: bool
    headline: str
