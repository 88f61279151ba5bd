"""Collect the report of a run from its journal and its artifacts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from msgspec.structs import replace

from ..config import GateConfig, RetrainConfig
from ..data.counts import FoldCounts, ParseCounts, SnapshotCounts
from ..data.quality import Check
from ..data.snapshots import Snapshot
from ..errors import RecommenderError
from ..evaluation.gate import paired_bootstrap
from ..evaluation.judgement import Judgement, Judgements, metrics_of
from ..evaluation.outcomes import ChoiceCounts, EvaluationCounts, TrainingCounts
from ..parameters import RETRAIN, RUN
from ..registry.bundle import Manifest
from ..registry.provenance import code_version, library_versions
from ..registry.registry import Registry
from ..registry.verdict import Interval, Verdict
from ..runs.dag_names import RETRAIN_DAG
from ..runs.journal import Journal, RunFacts, TaskRecord, folder_id, run_name
from ..storage.artifacts import ArtifactStore
from ..storage.documents import Origin, checked
from ..storage.objects import ObjectStore
from .report import PublishedModel, Report, Setting, Stop, Training
from .sources import Sources
from .tables import render_verdict

REPORT_TASK = "write_report"
FIRST_TASK, BEFORE_FIRST = "resolve_snapshot", ("wait_for_snapshot",)
CLOCK_SKEW = timedelta(minutes=1)  # between workers
SAMPLE_MARK = "generated_sample"
LOOKED_AT = 100
KILLED = "the task began and never ended: its process was killed, most often for want of memory"


def collect(journal: Journal, artifacts: ArtifactStore, snapshots: ObjectStore | None = None) -> Report:
    """Return the report of a run, as far as it ran; missing or damaged parts do not raise.

    Parameters
    ----------
    snapshots : read if the run found no snapshot, to see whether its reviews are generated
    """
    sources = Sources(artifacts)
    run, all_records = sources.run(journal), _of_this_try(sources.records(journal))
    records = [record for record in all_records if record.task != REPORT_TASK]
    # The teardown begins when all other tasks have ended; before it, a running task is really running.
    finished = len(records) < len(all_records)
    sources.open_all(records)
    configuration = sources.attempt("configuration", lambda: _configuration(run)) or []
    config = RetrainConfig.from_params(run.params if run and configuration else {})
    choice = sources.counts("choose_model", ChoiceCounts)
    report = Report(
        run=run,
        finished=finished,
        tasks=records,
        error=_error(records, finished),
        compared=sources.fact(records, "compared", list[Check]) or [],
        training=sources.attempt("train_als", lambda: _training(sources)),
        chosen=choice.chosen if choice else None,
        unchanged=sources.fact(records, "unchanged", str),
        model=_model(sources, records),
        lineage={stage: artifact.uri for stage, artifact in sources.artifacts.items()},
        timings={stage: artifact.timings for stage, artifact in sources.artifacts.items()},
        configuration=configuration,
        code_version=code_version(),
        libraries=library_versions(),
        unreadable=sources.unreadable,
    )
    report = _with_data(report, sources, snapshots)
    report = sources.attempt("recall_gate", lambda: _with_judgement(report, sources, config)) or report
    return _with_earlier(report, sources, artifacts)


def _with_earlier(report: Report, sources: Sources, artifacts: ArtifactStore) -> Report:
    """Add the table and the report of the earlier run, if nothing changed since."""
    model_id = report.unchanged
    if model_id is None:
        return report
    manifest = sources.attempt("unchanged", lambda: Registry(artifacts.objects).manifest(model_id))
    if manifest is None:
        return report
    return replace(
        report,
        table=sources.attempt("unchanged", lambda: _table_of(manifest)),
        unchanged_report=run_name(folder_id(RETRAIN_DAG, manifest.run)),
    )


def _of_this_try(records: Sequence[TaskRecord]) -> list[TaskRecord]:
    """Drop records of an earlier try of the run whose tasks did not run again."""
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
    """Whether the reviews are generated ones, so that no figure of the report is real."""
    return any(SAMPLE_MARK in name for name in files)


def _all_generated(snapshots: ObjectStore) -> bool:
    """Whether the first keys of a store are generated reviews only."""
    try:
        names = [row.key for row in islice(snapshots.walk(), LOOKED_AT)]
    except RecommenderError:
        return False  # the report of a run that found no store is written all the same
    return bool(names) and all(SAMPLE_MARK in name for name in names)


def _with_data(report: Report, sources: Sources, snapshots: ObjectStore | None) -> Report:
    files = review_files(sources)
    return replace(
        report,
        snapshot=sources.counts("resolve_snapshot", SnapshotCounts),
        files=files,
        generated_sample=is_sample(files) if files or snapshots is None else _all_generated(snapshots),
        funnel=sources.counts("parse_reviews", ParseCounts),
        fold=sources.counts("encode_interactions", FoldCounts),
        refitted=sources.counts("refit/encode_interactions", FoldCounts),
    )


def _training(sources: Sources) -> Training | None:
    counts, loss = sources.counts("train_als", TrainingCounts), sources.document("train_als", "loss.json", list[float])
    if counts is None or loss is None:
        return None
    finite = [value if math.isfinite(value) else None for value in loss]
    return Training(finite, counts.seconds_per_iteration, counts.start)


def _with_judgement(report: Report, sources: Sources, config: RetrainConfig) -> Report:
    verdict = sources.document("recall_gate", "verdict.json", Verdict)
    found = sources.document("evaluate", "judged.json", Judgements)
    judged = found.models if found else {}
    gate = verdict.thresholds if verdict else config.gate
    evaluated = sources.counts("evaluate", EvaluationCounts)
    champion = evaluated.champion if evaluated else None
    return replace(
        report,
        top_k=verdict.top_k if verdict else config.evaluate.top_k,
        confidence_level=gate.confidence_level,
        judged=judged,
        judged_users=evaluated.judged_users if evaluated else None,
        recall_intervals=_recall_intervals(sources, judged, gate),
        champion=champion,
        champion_how=evaluated.champion_how if evaluated else None,
        verdict=verdict,
        table=render_verdict(metrics_of(judged), verdict, champion) if judged and verdict else None,
    )


def _table_of(manifest: Manifest) -> str:
    """The gate's table of a published model, from an earlier run."""
    return render_verdict(manifest.metrics, manifest.verdict, manifest.champion)


def _recall_intervals(sources: Sources, judged: Mapping[str, Judgement], gate: GateConfig) -> dict[str, Interval]:
    """Model -> mean, low, high of its own Recall@K, by the gate's bootstrap over users.

    Two intervals may overlap although the paired difference is significant. The gate uses the difference only.
    """
    recalls = sources.arrays("evaluate", {name: f"recall_{name}.npy" for name in judged})
    return {name: paired_bootstrap(values, gate) for name, values in recalls.items()}


def _configuration(run: RunFacts | None) -> list[Setting] | None:
    """All parameters of the run with their defaults."""
    if run is None:
        return None
    config = RetrainConfig.from_params(run.params).as_dict()
    return [
        Setting(
            section=each.section,
            param=name,
            value=config[each.section][each.field],
            default=each.plain_default,
            description=each.text,
        )
        for name, each in RETRAIN.items()
        if name not in RUN
    ]


def _error(records: Sequence[TaskRecord], finished: bool) -> Stop | None:
    """The error that stopped the run; None if the gate stopped it, since a verdict is a result."""
    for record in records:
        if record.state == "failed" and record.error and not _is_verdict(record):
            return Stop(record.task, record.error.kind, record.error.message)
        if record.state == "running" and finished:
            return Stop(record.task, "Killed", KILLED)
    return None


def _is_verdict(record: TaskRecord) -> bool:
    return record.task == "recall_gate" and record.error is not None and record.error.kind == "GateRejected"


def _model(sources: Sources, records: Sequence[TaskRecord]) -> PublishedModel | None:
    facts = {record.task: record.facts for record in records if record.state in {"success", "skipped"}}
    if "upload_model" not in facts:
        return None
    moved = facts.get("promote_model", {})
    promotion = {"channel": moved.get("channel"), "promoted": bool(moved.get("moved")), "why": moved.get("why")}
    origin = Origin("tasks/upload_model", "what was published", "Clear the task.")
    return sources.attempt(
        "tasks/upload_model", lambda: checked({**facts["upload_model"], **promotion}, PublishedModel, origin)
    )
