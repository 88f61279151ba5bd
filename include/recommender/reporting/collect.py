"""Everything that is known of a run, as one JSON document, from its journal and the artifacts it names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from ..config import GateConfig, RetrainConfig
from ..data.snapshots import Snapshot
from ..errors import RecommenderError
from ..evaluation.gate import paired_bootstrap
from ..parameters import RETRAIN, RUN
from ..registry.bundle import Manifest
from ..registry.provenance import code_version, library_versions
from ..registry.registry import Registry
from ..storage.artifacts import ArtifactStore
from ..storage.objects import ObjectStore
from .journal import MAIN_DAG, Journal, RunFacts, TaskRecord, folder_id, run_name
from .sources import Sources
from .tables import render_verdict

FORMAT = 1
REPORT_TASK = "write_report"
FIRST_TASK, BEFORE_FIRST = "resolve_snapshot", ("wait_for_snapshot",)
CLOCK_SKEW = timedelta(minutes=1)  # between workers
# The sections on the judgement where it cannot be read.
NOT_JUDGED: dict[str, Any] = {
    "top_k": None,
    "confidence_level": None,
    "judged": None,
    "judged_users": None,
    "recall_intervals": {},
    "champion": None,
    "champion_how": None,
    "verdict": None,
    "table": None,
}
SAMPLE_MARK = "generated_sample"
LOOKED_AT = 100
KILLED = "the task began and never ended: its process was killed, most often for want of memory"


def collect(journal: Journal, artifacts: ArtifactStore, snapshots: ObjectStore | None = None) -> dict[str, Any]:
    """The report of a run, up to where it came; never raises for what is missing or damaged.

    Parameters
    ----------
    snapshots : looked at where the run did not come to a snapshot, to tell whether its reviews are generated ones

    Returns
    -------
    Sections that the run did not reach, or that could not be read, are None; `unreadable` says why (stage -> message).
    `table`, `verdict`, `model`, `error` and `tasks` are what others read.
    """
    sources = Sources(artifacts)
    run, all_records = sources.run(journal), _of_this_try(sources.records(journal))
    records = [record for record in all_records if record.task != REPORT_TASK]
    # The teardown begins when all other tasks have ended; before it, one that is running really is.
    finished = len(records) < len(all_records)
    sources.open_all(records)
    configuration = sources.attempt("configuration", lambda: _configuration(run))
    unchanged = next((record.facts["unchanged"] for record in records if "unchanged" in record.facts), None)
    config = RetrainConfig.from_params(run.params if run and configuration else {})
    judgement = sources.attempt("recall_gate", lambda: _judgement(sources, config)) or dict(NOT_JUDGED)
    unchanged_report = None
    if unchanged:
        manifest = sources.attempt("unchanged", lambda: _manifest(artifacts, unchanged))
        judgement["table"] = sources.attempt("unchanged", lambda: _table_of(manifest)) if manifest else None
        unchanged_report = run_name(folder_id(MAIN_DAG, manifest.run)) if manifest else None
    return {
        "format": FORMAT,
        "run": asdict(run) if run else None,
        "finished": finished,
        "tasks": [asdict(record) for record in records],
        "error": _error(records, finished),
        **_data(sources, snapshots),
        "training": sources.attempt("train_als", lambda: _training(sources)),
        "prior": (sources.counts("learn_prior") or {}).get("prior"),
        **judgement,
        "unchanged": unchanged,
        "unchanged_report": unchanged_report,
        "model": _model(records),
        "lineage": {stage: artifact.uri for stage, artifact in sources.made.items()},
        "timings": {stage: artifact.timings for stage, artifact in sources.made.items()},
        "configuration": configuration,
        "code_version": code_version(),
        "libraries": library_versions(),
        "unreadable": sources.unreadable,
    }


def _of_this_try(records: Sequence[TaskRecord]) -> list[TaskRecord]:
    """Without those of an earlier try of the whole run, whose tasks this one did not come to again."""
    first = next((record for record in records if record.task == FIRST_TASK), None)
    if first is None:
        return list(records)
    began = datetime.fromisoformat(first.started_at) - CLOCK_SKEW
    return [row for row in records if row.task in BEFORE_FIRST or datetime.fromisoformat(row.started_at) >= began]


def review_files(sources: Sources) -> list[str]:
    """Keys of the snapshot's files."""
    listing = sources.json("resolve_snapshot", "snapshot.json")
    if listing is None:
        return []
    keys = sources.attempt("resolve_snapshot", lambda: Snapshot.from_body(listing, "snapshot.json").objects)
    return [row.key for row in keys or ()]


def is_sample(files: Sequence[str]) -> bool:
    """Whether the reviews are those that this project generates: then nothing in a report is real."""
    return any(SAMPLE_MARK in name for name in files)


def _all_generated(snapshots: ObjectStore) -> bool:
    """Whether there are only generated reviews in a store, as far as its first keys tell."""
    try:
        names = [row.key for row in islice(snapshots.walk(), LOOKED_AT)]
    except RecommenderError:
        return False  # the report of a run that found no store is written all the same
    return bool(names) and all(SAMPLE_MARK in name for name in names)


def _data(sources: Sources, snapshots: ObjectStore | None) -> dict[str, Any]:
    files = review_files(sources)
    return {
        "snapshot": sources.counts("resolve_snapshot"),
        "files": files,
        "generated_sample": is_sample(files) if files or snapshots is None else _all_generated(snapshots),
        "funnel": sources.counts("parse_reviews"),
        "fold": sources.counts("encode_interactions"),
        "refitted": sources.counts("refit/encode_interactions"),
    }


def _training(sources: Sources) -> dict[str, Any] | None:
    counts, loss = sources.counts("train_als"), sources.json("train_als", "loss.json")
    if counts is None or loss is None:
        return None
    return {
        "loss": [value if math.isfinite(value) else None for value in loss],
        "seconds_per_iteration": counts["seconds_per_iteration"],
        "start": counts.get("start", "cold"),
    }


def _judgement(sources: Sources, config: RetrainConfig) -> dict[str, Any]:
    verdict = sources.json("recall_gate", "verdict.json")
    judged = sources.json("evaluate", "judged.json")
    gate = GateConfig(**verdict["thresholds"]) if verdict else config.gate
    evaluated = sources.counts("evaluate") or {}
    champion = evaluated.get("champion")
    return {
        "top_k": verdict["top_k"] if verdict else config.evaluate.top_k,
        "confidence_level": gate.confidence_level,
        "judged": judged,
        "judged_users": evaluated.get("judged_users"),
        "recall_intervals": _recall_intervals(sources, judged or {}, gate),
        "champion": champion,
        "champion_how": evaluated.get("champion_how"),
        "verdict": verdict,
        "table": render_verdict(judged, verdict, champion) if judged and verdict else None,
    }


def _manifest(artifacts: ArtifactStore, model_id: str) -> Manifest:
    return Registry(artifacts.objects).manifest(model_id)


def _table_of(manifest: Manifest) -> str:
    """The table on which an earlier run decided for a published model."""
    judged = {name: {"means": means} for name, means in manifest.metrics.items()}
    return render_verdict(judged, manifest.verdict, manifest.champion)


def _recall_intervals(sources: Sources, judged: Mapping[str, Any], gate: GateConfig) -> dict[str, Any]:
    """Model -> mean, low, high of its own Recall@K: the gate's bootstrap over users, of values, not differences.

    Two of these may overlap although the paired difference is significant; the gate looks at the difference only.
    """
    recalls = sources.arrays("evaluate", {name: f"recall_{name}.npy" for name in judged})
    return {name: asdict(paired_bootstrap(values, gate)) for name, values in recalls.items()}


def _configuration(run: RunFacts | None) -> list[dict[str, Any]] | None:
    """All parameters of the run with their defaults."""
    if run is None:
        return None
    config = RetrainConfig.from_params(run.params).as_dict()
    return [
        {
            "section": each.section,
            "param": name,
            "value": config[each.section][each.field],
            "default": each.plain_default,
            "description": each.text,
        }
        for name, each in RETRAIN.items()
        if name not in RUN
    ]


def _error(records: Sequence[TaskRecord], finished: bool) -> dict[str, Any] | None:
    """What stopped the run, unless that was the gate: a verdict is a result."""
    for record in records:
        if record.state == "failed" and record.error and not _is_verdict(record):
            return {"task": record.task, "kind": record.error.kind, "message": record.error.message}
        if record.state == "running" and finished:
            return {"task": record.task, "kind": "Killed", "message": KILLED}
    return None


def _is_verdict(record: TaskRecord) -> bool:
    return record.task == "recall_gate" and record.error is not None and record.error.kind == "GateRejected"


def _model(records: Sequence[TaskRecord]) -> dict[str, Any] | None:
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
