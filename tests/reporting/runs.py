"""Runs of the stages with a journal, without Airflow."""

import copy
import json
from datetime import UTC, datetime

import msgspec

from include.recommender.config import RetrainConfig
from include.recommender.reporting import html
from include.recommender.reporting.collect import collect as collect_report
from include.recommender.reporting.report import Report, read_report
from include.recommender.runs.journal import Journal, RunFacts, TaskError, TaskRecord
from include.recommender.stages import fit, judge, prepare
from include.recommender.stages.candidate import Candidate
from include.recommender.stages.fit import Fitted
from include.recommender.storage.documents import to_json

from .. import worlds

AS_OF = datetime(2018, 9, 1, tzinfo=UTC)
SNAPSHOT = "2018-08-27"
PARAMS = {"factors": 8, "iterations": 3, "resamples": 10_000}
ORDER = [
    "resolve_snapshot",
    "download_reviews",
    "parse_reviews",
    "encode_interactions",
    "choose_model",
    "train_als",
    "fit_neighbours",
    "fit_popularity",
    "fit_rivals",
    "evaluate",
    "recall_gate",
]


def begin(workspace, run_id="manual__1"):
    """A journal with what the run was asked to do."""
    journal = Journal(workspace.root, run_id)
    when = AS_OF.isoformat()
    journal.write_run(
        RunFacts(
            dag_id="recommender_retrain",
            run_id=run_id,
            run_type="manual",
            run_date=when,
            as_of=when,
            snapshot=None,
            channel="production",
            params=PARAMS,
        )
    )
    return journal


def record(task, state="success", **fields):
    """A record; tasks begin in the order of ORDER, then by name."""
    minute = ORDER.index(task) if task in ORDER else 30
    started = AS_OF.replace(minute=minute).isoformat()
    base = {"try_number": 1, "started_at": started, "seconds": 1.5, "peak_bytes": 200_000_000}
    return TaskRecord(task=task, state=state, **base | fields)


def run(workspace, name="reviews.jsonl.gz", rows=None):
    """All stages up to the gate on a small world, journalled; return the journal and stage -> artifact."""
    rows = worlds.reviews(n_users=300) if rows is None else rows
    workspace.snapshots.write(f"{SNAPSHOT}/{name}", worlds.packed(rows))
    journal, config, made = begin(workspace), RetrainConfig.from_params(PARAMS), {}

    def keep(outcome):
        artifact = outcome.artifact
        made[artifact.stage] = artifact
        journal.write(record(artifact.stage, artifacts={artifact.stage: artifact.uri}))
        return artifact

    parsed = keep(
        prepare.parse_reviews(
            workspace,
            keep(prepare.download_reviews(workspace, keep(prepare.resolve_snapshot(workspace, None, AS_OF)))),
            config.parse,
        )
    )
    encoded = keep(prepare.encode_interactions(workspace, parsed, AS_OF, config.encode))
    chosen = keep(fit.choose_model(workspace, encoded, config))
    trained = keep(fit.train_als(workspace, parsed, encoded, fit.fixed_config(chosen, config)))
    baselines = keep(fit.fit_popularity(workspace, encoded, config.popularity))
    fitted = Fitted(encoded, chosen, trained, keep(fit.fit_neighbours(workspace, encoded, chosen, config)))
    rivals = keep(fit.fit_rivals(workspace, encoded, config))
    candidate = Candidate(
        workspace=workspace,
        parsed=parsed,
        fitted=fitted,
        baselines=baselines,
        rivals=rivals,
        as_of=AS_OF,
        channel="production",
        config=config,
    )
    evaluated = keep(judge.evaluate(candidate))
    keep(judge.recall_gate(workspace, evaluated, top_k=config.evaluate.top_k, force_reason=None, config=config.gate))
    return journal, made


def failed(task, kind, message, **fields):
    """A record of a failure."""
    return record(task, "failed", error=TaskError(kind, message), **fields)


def without(report, *sections):
    """A copy of a report that lacks some sections."""
    empty = msgspec.to_builtins(Report())
    return copy.deepcopy(report) | {name: empty[name] for name in sections}


def collect(journal, *stores):
    """The report as report.json holds it."""
    return json.loads(to_json(collect_report(journal, *stores)))


def typed(report):
    """A report that was read from JSON."""
    return read_report(json.dumps(report).encode(), "s3://b/report.json")


def render_html(report):
    """The page of a report that was read from JSON."""
    return html.render_html(typed(report))
