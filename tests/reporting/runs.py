"""Runs of the stages with a journal, without Airflow."""

import copy
from dataclasses import replace
from datetime import UTC, datetime

from include.recommender.config import RetrainConfig
from include.recommender.reporting.journal import Journal, RunFacts, TaskError, TaskRecord
from include.recommender.stages import fit, judge, prepare
from include.recommender.stages.fit import Fitted

from .. import worlds

AS_OF = datetime(2018, 9, 1, tzinfo=UTC)
SNAPSHOT = "2018-08-27"
PARAMS = {"factors": 8, "iterations": 3, "resamples": 10_000}
ORDER = [
    "resolve_snapshot",
    "download_reviews",
    "parse_reviews",
    "encode_interactions",
    "train_als",
    "fit_popularity",
    "learn_prior",
    "evaluate",
    "recall_gate",
]


def begin(workspace, run_id="manual__1"):
    """A journal with what the run was asked to do."""
    journal = Journal(workspace.root, run_id)
    when = AS_OF.isoformat()
    journal.write_run(RunFacts("recommender_retrain", run_id, "manual", when, when, None, "production", PARAMS))
    return journal


def record(task, state="success", **fields):
    """A record; tasks begin in the order of ORDER, then by name."""
    minute = ORDER.index(task) if task in ORDER else 30
    started = AS_OF.replace(minute=minute).isoformat()
    base = TaskRecord(task, state, 1, started, seconds=1.5, peak_bytes=200_000_000)
    return replace(base, **fields)


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
    trained = keep(fit.train_als(workspace, parsed, encoded, config.train))
    baselines = keep(fit.fit_popularity(workspace, encoded, config.popularity))
    fitted = Fitted(encoded, trained, keep(fit.learn_prior(workspace, encoded, config)))
    evaluated = keep(judge.evaluate(workspace, parsed, fitted, baselines, AS_OF, "production", config))
    keep(judge.recall_gate(workspace, evaluated, config.evaluate.top_k, None, config.gate))
    return journal, made


def failed(task, kind, message, **fields):
    """A record of a failure."""
    return record(task, "failed", error=TaskError(kind, message), **fields)


def without(report, *sections):
    """A copy of a report that lacks some sections."""
    return copy.deepcopy(report) | dict.fromkeys(sections)
