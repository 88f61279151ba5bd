"""What the versions of a registry are, at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import DataError
from ..storage.documents import parse_json
from .moves import instant
from .parallel import at_once
from .registry import Registry

# What `upload_model` writes besides the files.
ABOUT = ("as_of", "snapshot", "cut_s", "config", "metrics", "verdict", "run", "code_version", "libraries")


@dataclass(frozen=True)
class Summary:
    """One version: what it is, how it was judged, and who points to it.

    problem : what is wrong with its manifest; all else is then unknown
    """

    model_id: str
    as_of: str | None = None
    snapshot: str | None = None
    verdict: str | None = None
    top_k: int | None = None
    recall: float | None = None
    opponent: str | None = None
    opponent_recall: float | None = None
    relative_lift: float | None = None
    size_bytes: int | None = None
    run: str | None = None
    channels: tuple[str, ...] = ()
    problem: str | None = None


def live(registry: Registry) -> dict[str, str]:
    """Channel -> the version that it points to."""
    names = registry.channels.names()
    states = zip(names, at_once(registry.objects, registry.channels.read, names), strict=True)
    return {name: state.model_id for name, state in states if state is not None}


def summaries(registry: Registry) -> list[Summary]:
    """All versions, newest as_of first. A manifest that cannot be read is told of, and stops nothing."""
    pointers = live(registry)
    found = registry.manifests(registry.objects.folders("models/"))
    rows = [summarize(name, body, pointers) for name, body in found.items()]
    return sorted(rows, key=lambda row: (instant(row.as_of or "0001-01-01"), row.model_id), reverse=True)


def summarize(model_id: str, manifest: dict[str, Any] | DataError, pointers: dict[str, str]) -> Summary:
    """One version at a glance; `pointers` is what `live` returned."""
    channels = tuple(name for name, target in pointers.items() if target == model_id)
    if isinstance(manifest, DataError):
        return Summary(model_id, channels=channels, problem=str(manifest))
    verdict = manifest.get("verdict", {})
    return Summary(
        model_id,
        as_of=manifest["as_of"],
        snapshot=manifest.get("snapshot"),
        verdict=verdict.get("decision"),
        top_k=verdict.get("top_k"),
        recall=verdict.get("candidate_recall"),
        opponent=verdict.get("opponent"),
        opponent_recall=verdict.get("opponent_recall"),
        relative_lift=verdict.get("relative_lift"),
        size_bytes=sum(entry["size_bytes"] for entry in manifest["files"].values()),
        run=manifest.get("run"),
        channels=channels,
    )


def whole_manifest(registry: Registry, model_id: str) -> dict[str, Any]:
    """A version's manifest that tells all that is shown of one. Raises NotFound, DataError."""
    manifest = registry.manifest(model_id)
    missing = [name for name in ABOUT if name not in manifest]
    if missing:
        raise DataError(
            f"{registry.objects.uri(f'models/{model_id}')}: its manifest lacks {', '.join(missing)}. Something else "
            "than this project's upload_model wrote it."
        )
    return manifest


def fold_counts(registry: Registry, model_id: str, manifest: dict[str, Any]) -> dict[str, int]:
    """Users, items and interactions that the published factors were fitted on, and the size of the holdout."""
    where = registry.objects.uri(f"models/{model_id}/fold.json")
    fold = parse_json(registry.read_file(manifest, model_id, "fold.json"), where, "Compare with another version.")
    published, judged = fold["published"], fold["judged"]
    return {
        "users": published["train_users"],
        "items": published["train_items"],
        "interactions": published["train"],
        "holdout_interactions": judged["holdout"],
        "judged_users": manifest["verdict"]["n_users"],
    }
