"""The bodies of the DAG's tasks: open the outputs of earlier tasks, call the stage, return a URI.

A function has the name of its task; `Run.artifact` opens the output of a task by its name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.recommender.data.counts import SnapshotCounts
from include.recommender.evaluation.outcomes import EvaluationCounts, GateCounts, TrainingCounts
from include.recommender.parameters.of_run import BY_HAND
from include.recommender.registry.moves import promote_command
from include.recommender.runs.journal import RunFacts
from include.recommender.stages import fit, judge, prepare, promote, publish
from include.recommender.stages import profiles as quality
from include.recommender.stages import run_report as report
from include.recommender.stages.candidate import Candidate
from include.recommender.stages.fit import Fitted
from include.recommender.stages.promote import Promotion
from include.recommender.stages.publish import Published, RunArtifacts
from include.recommender.stages.unchanged import unchanged
from include.recommender.stages.warm import candidate_start
from include.recommender.storage.documents import plain

from .pinning import NONE_YET, check_unseen
from .pools import require_pool
from .run import ArtifactHandle, Run, XCom, run_task
from .schedule import CHANNELS

log = logging.getLogger(__name__)


# The tasks whose outputs make up a model.
JUDGED = ("encode_interactions", "train_als", "learn_prior")
REFITTED = ("encoded", "trained", "prior")
ASK = "approve"


def resolve_snapshot() -> XCom:
    """Resolve the snapshot of this run."""

    def body(run: Run) -> XCom:
        require_pool(run)
        outcome = prepare.resolve_snapshot(run.workspace, run.facts.snapshot, run.run_date)
        run.note(**outcome.artifact.counts)
        return run.record_output(outcome)

    return _handle(run_task(body))


def download_reviews() -> XCom:
    """Download the snapshot's files to this worker's disk."""
    return _handle(
        run_task(
            lambda run: run.record_output(prepare.download_reviews(run.workspace, run.artifact("resolve_snapshot")))
        )
    )


def stop_if_unchanged() -> bool:
    """Whether to continue: false if the channel's model has the same reviews and configuration."""

    def body(run: Run) -> bool:
        if run.request.force:
            log.info("Going on whether or not anything changed: force is set")
            return True
        same = unchanged(
            run.workspace,
            run.artifact("download_reviews"),
            as_of=run.as_of,
            channel=run.facts.channel,
            config=run.config,
        )
        if same is None:
            return True
        log.info(
            "Nothing to do: %s points to %s, which was made from the same reviews with the same configuration. "
            "Set force to train again.",
            run.facts.channel,
            same,
        )
        run.note(unchanged=same)
        return False

    return bool(run_task(body))


def parse_reviews() -> XCom:
    """Parse review lines into coded columns."""

    def body(run: Run) -> XCom:
        return run.record_output(
            prepare.parse_reviews(run.workspace, run.artifact("download_reviews"), run.config.parse)
        )

    return _handle(run_task(body))


def check_snapshot() -> None:
    """Compare the snapshot with the one before it."""

    def body(run: Run) -> None:
        snapshot = run.artifact("resolve_snapshot").counted(SnapshotCounts).snapshot
        quality.check_snapshot(
            run.workspace,
            snapshot,
            run.artifact("parse_reviews"),
            config=run.config.quality,
            compared=lambda checks: run.note(compared=plain(checks)),
        )

    run_task(body)


def encode_interactions() -> XCom:
    """Encode reviews as a train matrix and a holdout."""

    def body(run: Run) -> XCom:
        parsed, config = run.artifact("parse_reviews"), run.config.encode
        outcome = prepare.encode_interactions(run.workspace, parsed, run.as_of, config)
        check_unseen(run.workspace.root, run.facts.tuned, outcome.artifact)
        return run.record_output(outcome)

    return _handle(run_task(body))


def train_als() -> XCom:
    """Train the candidate's item factors."""

    def body(run: Run) -> XCom:
        fold, config = run.artifact("encode_interactions"), run.config.train
        start = candidate_start(run.workspace, fold, run.facts.channel, config)
        outcome = fit.train_als(run.workspace, run.artifact("parse_reviews"), fold, config=config, start=start)
        run.note(start=outcome.artifact.counted(TrainingCounts).start)
        return run.record_output(outcome)

    return _handle(run_task(body))


def fit_popularity() -> XCom:
    """Count the baselines."""

    def body(run: Run) -> XCom:
        config = run.config.popularity
        return run.record_output(fit.fit_popularity(run.workspace, run.artifact("encode_interactions"), config))

    return _handle(run_task(body))


def learn_prior() -> XCom:
    """Learn power and half-life of the item prior inside train."""

    def body(run: Run) -> XCom:
        return run.record_output(fit.learn_prior(run.workspace, run.artifact("encode_interactions"), run.config))

    return _handle(run_task(body))


def evaluate() -> XCom:
    """Evaluate all models on the same holdout."""

    def body(run: Run) -> XCom:
        outcome = judge.evaluate(_candidate(run))
        run.note(champion=outcome.artifact.counted(EvaluationCounts).champion)
        return run.record_output(outcome)

    return _handle(run_task(body))


def recall_gate() -> XCom:
    """Decide; HOLD and REJECT fail the task, unless a promotion is forced with a reason."""

    def body(run: Run) -> XCom:
        judged = run.artifact("evaluate")
        outcome = judge.recall_gate(
            run.workspace,
            judged,
            top_k=run.config.evaluate.top_k,
            force_reason=run.request.force_reason,
            config=run.config.gate,
        )
        handle = run.record_output(outcome)
        run.note(**outcome.artifact.counts)
        judge.require_promotion(run.workspace, outcome.artifact)
        return handle | {"decision": outcome.artifact.counted(GateCounts).decision}

    return _handle(run_task(body))


def refit() -> dict[str, XCom]:
    """Fit the same configuration on everything before as_of."""

    def body(run: Run) -> dict[str, XCom]:
        outcomes = fit.refit(
            run.workspace, run.artifact("parse_reviews"), _judged(run), as_of=run.as_of, config=run.config
        )
        return {name: run.record_output(outcome) for name, outcome in outcomes.items()}

    return dict(run_task(body))


def upload_model() -> XCom:
    """Upload the bundle into the registry."""

    def body(run: Run) -> XCom:
        refitted = run.output("refit", dict[str, ArtifactHandle])
        artifacts = RunArtifacts(
            resolved=run.artifact("resolve_snapshot"),
            downloaded=run.artifact("download_reviews"),
            parsed=run.artifact("parse_reviews"),
            judged=_judged(run),
            baselines=run.artifact("fit_popularity"),
            evaluated=run.artifact("evaluate"),
            gated=run.artifact("recall_gate"),
            published=Fitted(*(run.open(refitted[name]) for name in REFITTED)),
        )
        facts = run.facts
        tuned = None if facts.tuned == NONE_YET else facts.tuned
        publication = publish.Publication(
            artifacts=artifacts, as_of=run.as_of, run=facts.run_id, config=run.config, tuned=tuned
        )
        published = publish.upload_model(run.workspace, publication)
        run.note(**asdict(published))
        return asdict(published)

    return dict(run_task(body))


def promote_model() -> XCom:
    """Move the channel to the new version; skipped if it must not move."""

    def body(run: Run) -> XCom:
        published = run.output("upload_model", Published)
        if run.request.promotion == BY_HAND:
            raise AirflowSkipException(_manual_promotion(run, published.model_id))
        reason, approved = run.request.force_reason, _approved(run)
        if approved is not None and not approved.get("by"):
            raise AirflowSkipException(_approval_skipped(run, published.model_id))
        approved = approved or {}
        request = promote.PromotionRequest(
            published=published,
            channel=run.facts.channel,
            who=approved.get("by") or run.facts.started_by,
            run=run.facts.run_id,
            why=_reason(published.verdict, reason, approved, run.facts),
            force_reason=reason,
        )
        # The journal then holds the newest judgement, for the report.
        rejudge = promote.CandidateJudge(_candidate(run), run.record_output)
        promotion = promote.promote_model(run.workspace, request, run.artifact("evaluate"), rejudge)
        run.note(**asdict(promotion))
        if not promotion.moved:
            raise AirflowSkipException(promotion.why)
        _emit_event(promotion, published.uri)
        return asdict(promotion)

    return dict(run_task(body))


def _emit_event(promotion: Promotion, uri: str) -> None:
    """Emit an event of the channel's asset, for DAGs scheduled on it; by an alias, as only the run knows the asset."""
    about: dict[str, Any] = {"model_id": promotion.model_id, "channel": promotion.channel, "uri": uri}
    events = get_current_context()["outlet_events"]
    events[CHANNELS].add(Asset(f"recommender_{promotion.channel}"), extra=about)


def _approved(run: Run) -> dict[str, str] | None:
    """Who approved, and the note; empty if no approval was needed, None if approval is not configured."""
    return (run.pull(ASK) or {}) if get_current_context()["dag"].has_task(ASK) else None


def _judged(run: Run) -> Fitted:
    return Fitted(*(run.artifact(task) for task in JUDGED))


def _candidate(run: Run) -> Candidate:
    return Candidate(
        workspace=run.workspace,
        parsed=run.artifact("parse_reviews"),
        fitted=_judged(run),
        baselines=run.artifact("fit_popularity"),
        as_of=run.as_of,
        channel=run.facts.channel,
        config=run.config,
    )


def _reason(verdict: str, reason: str | None, approved: Mapping[str, Any], facts: RunFacts) -> str:
    found = f"forced: {reason}" if reason else f"verdict {verdict}"
    if not approved.get("by"):
        return found
    note = f" ({approved['note']})" if approved.get("note") else ""
    return f"{found}; approved by {approved['by']}{note}; run started by {facts.started_by}"


def _manual_promotion(run: Run, model_id: str) -> str:
    why = f"promotion is by hand: {promote_command(model_id, run.facts.channel)}"
    run.note(moved=False, model_id=model_id, channel=run.facts.channel, why=why)
    return why


def _approval_skipped(run: Run, model_id: str) -> str:
    """The reason for no move: `approve` found a newer version on the channel, so nobody approved this one."""
    channel = run.facts.channel
    why = f"nobody approved, since {channel} was not to move at that time: {promote_command(model_id, channel)}"
    run.note(moved=False, model_id=model_id, channel=channel, why=why)
    return why


def write_report() -> str:
    """Write the run's report, as far as it ran."""
    return str(run_task(lambda run: report.write_report(run.workspace, run.facts.folder_id), despite_problems=True))


def _handle(value: Any) -> XCom:
    return dict(value)
