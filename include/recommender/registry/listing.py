"""Summaries of the versions of a registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ..data.counts import FoldCounts
from ..errors import DataError
from ..storage.documents import Origin, decode
from .batches import all_finished
from .bundle import Manifest
from .channels import ChannelState
from .moves import Move
from .parallel import at_once
from .registry import Registry

FOLD = "fold.json"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One version: its facts, its verdict, and the channels that point to it.

    created_at, known_until, as_of : ISO 8601
    recommendations : folders of its finished batches
    problem : what is wrong with its manifest; all else is then unknown
    """

    model_id: str
    created_at: str | None = None
    known_until: str | None = None
    as_of: str | None = None
    snapshot: str | None = None
    verdict: str | None = None
    top_k: int | None = None
    recall: float | None = None
    baseline: str | None = None
    baseline_recall: float | None = None
    relative_lift: float | None = None
    size_bytes: int | None = None
    run: str | None = None
    channels: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Pointers:
    """Channel -> the version that it points to, and what is wrong with those channels that cannot be read."""

    to: dict[str, str]
    problems: list[str] = field(default_factory=list)


def live(registry: Registry) -> dict[str, str]:
    """Channel -> the version that it points to. Raises DataError if one channel cannot be read."""
    names = registry.channels.names()
    states = zip(names, at_once(registry.objects, registry.channels.read, names), strict=True)
    return {name: state.model_id for name, state in states if state is not None}


def pointers(registry: Registry) -> Pointers:
    """As `live`, but report a channel that cannot be read instead of raising."""

    def read(name: str) -> ChannelState | DataError | None:
        try:
            return registry.channels.read(name)
        except DataError as error:
            return error

    names = registry.channels.names()
    found = dict(zip(names, at_once(registry.objects, read, names), strict=True))
    return Pointers(
        {name: state.model_id for name, state in found.items() if isinstance(state, ChannelState)},
        [str(error) for error in found.values() if isinstance(error, DataError)],
    )


def summaries(registry: Registry, there: Pointers) -> list[Summary]:
    """Summaries of all versions, newest creation first. An unreadable manifest is reported in its row."""
    found, batches = registry.manifests(registry.objects.folders("models/")), all_finished(registry.objects)
    rows = [summarize(name, body, there.to, batches.get(name, ())) for name, body in found.items()]
    return sorted(rows, key=lambda row: (row.created_at or "", row.model_id), reverse=True)


def summarize(
    model_id: str, manifest: Manifest | DataError, pointers: Mapping[str, str], batches: tuple[str, ...]
) -> Summary:
    """The summary of one version; `pointers` is channel -> version, `batches` as of `finished`."""
    channels = tuple(name for name, target in pointers.items() if target == model_id)
    if isinstance(manifest, DataError):
        return Summary(model_id=model_id, channels=channels, recommendations=batches, problem=str(manifest))
    verdict = manifest.verdict
    return Summary(
        model_id=model_id,
        created_at=manifest.created_at.isoformat(),
        known_until=manifest.known_until.isoformat(),
        as_of=manifest.as_of.isoformat(),
        snapshot=manifest.snapshot,
        verdict=manifest.decision,
        top_k=verdict.top_k,
        recall=verdict.candidate_recall,
        baseline=verdict.baseline,
        baseline_recall=verdict.baseline_recall,
        relative_lift=verdict.relative_lift,
        size_bytes=manifest.size_bytes,
        run=manifest.run,
        channels=channels,
        recommendations=batches,
    )


def moves_of(registry: Registry, model_id: str) -> tuple[list[Move], list[str]]:
    """All moves to or from a version, by time; and what is wrong with the histories that cannot be read."""
    moves: list[Move] = []
    problems: list[str] = []
    for channel in registry.channels.names():
        try:
            moves += registry.channels.history(channel)
        except DataError as error:
            problems.append(str(error))
    named = (move for move in moves if model_id in (move.from_model, move.to_model))
    return sorted(named, key=lambda move: move.moved_at), problems


class FoldFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """fold.json of a bundle: the counts of the fold that was judged, and of the refit's."""

    judged: FoldCounts
    published: FoldCounts


def fold_file(registry: Registry, manifest: Manifest) -> FoldFile:
    """The counts of a version's folds. Raises NotFound, DataError."""
    where = registry.objects.uri(f"models/{manifest.model_id}/{FOLD}")
    origin = Origin(where, "the folds of a version", "Compare with another version.")
    return decode(registry.read_file(manifest, FOLD), FoldFile, origin)


def fold_counts(registry: Registry, manifest: Manifest) -> dict[str, int]:
    """Users, items and interactions that the published factors were fitted on, and the size of the holdout."""
    fold = fold_file(registry, manifest)
    return {
        "users": fold.published.train_users,
        "items": fold.published.train_items,
        "interactions": fold.published.train,
        "holdout_interactions": fold.judged.holdout,
        "judged_users": manifest.verdict.n_users,
    }
