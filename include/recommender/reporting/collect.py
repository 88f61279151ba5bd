"""Everything that is known of a run, as one JSON document, from its journal and the artifacts it names."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import NotFound
from ..storage.artifacts import Artifact, ArtifactStore
from .journal import Journal, TaskRecord
from .tables import render_verdict

FORMAT = 1


def collect(journal: Journal, artifacts: ArtifactStore) -> dict[str, Any]:
    """The report of a run, up to where it came.

    Returns
    -------
    run, tasks, error, funnel, fold, training, judged, verdict, table, model, lineage; those that the run did not reach
    are None
    """
    records = journal.records()
    made = _open_all(records, artifacts)
    verdict = _json(made, artifacts, "recall_gate", "verdict.json")
    judged = _json(made, artifacts, "evaluate", "judged.json")
    return {
        "format": FORMAT,
        "run": _run(journal),
        "tasks": [asdict(record) for record in records],
        "error": _error(records),
        "snapshot": _counts(made, "resolve_snapshot"),
        "funnel": _counts(made, "parse_reviews"),
        "fold": _counts(made, "encode_interactions"),
        "training": _training(made, artifacts),
        "judged": judged,
        "champion": (_counts(made, "evaluate") or {}).get("champion"),
        "verdict": verdict,
        "table": render_verdict(judged, verdict) if judged and verdict else None,
        "model": _model(records),
        "lineage": {stage: artifact.uri for stage, artifact in made.items()},
        "timings": {stage: artifact.timings for stage, artifact in made.items()},
    }


def _run(journal: Journal) -> dict[str, Any] | None:
    try:
        return asdict(journal.read_run())
    except NotFound:
        return None


def _open_all(records: list[TaskRecord], artifacts: ArtifactStore) -> dict[str, Artifact]:
    """Stage -> artifact; the refit's are named `refit/<stage>`."""
    found = {}
    for record in records:
        for stage, uri in record.artifacts.items():
            name = f"refit/{stage}" if record.task == "refit" else stage
            found[name] = artifacts.open(uri)
    return found


def _counts(made: dict[str, Artifact], stage: str) -> dict[str, Any] | None:
    return made[stage].counts if stage in made else None


def _json(made: dict[str, Artifact], artifacts: ArtifactStore, stage: str, name: str) -> Any:
    return json.loads(Path(artifacts.path(made[stage]) / name).read_text()) if stage in made else None


def _training(made: dict[str, Artifact], artifacts: ArtifactStore) -> dict[str, Any] | None:
    counts = _counts(made, "train_als")
    if counts is None:
        return None
    return {
        "loss": _json(made, artifacts, "train_als", "loss.json"),
        "seconds_per_iteration": counts["seconds_per_iteration"],
    }


def _error(records: list[TaskRecord]) -> dict[str, Any] | None:
    """What stopped the run, unless that was the gate: a verdict is a result."""
    for record in records:
        if record.state == "failed" and record.error and record.error.kind != "GateRejected":
            return {"task": record.task, "kind": record.error.kind, "message": record.error.message}
        if record.state == "running" and record.task != "write_report":
            return {
                "task": record.task,
                "kind": "Killed",
                "message": "the task began and never ended: its process was killed, most often for want of memory",
            }
    return None


def _model(records: list[TaskRecord]) -> dict[str, Any] | None:
    facts = {record.task: record.facts for record in records if record.state in {"success", "skipped"}}
    if "upload_model" not in facts:
        return None
    promotion = facts.get("promote_model", {})
    return {
        **facts["upload_model"],
        "channel": promotion.get("channel"),
        "promoted": bool(promotion.get("moved")),
        "why": promotion.get("why"),
    }
