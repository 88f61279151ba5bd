"""The tasks of `recommender_retrain` as functions without arguments; those of `heavy` may run elsewhere.

A body has the name of its task; `Run.artifact` opens the output of an earlier task by its name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.recommender.data.counts import SnapshotCounts
from include.recommender.evaluation.outcomes import GateCounts
from include.recommender.parameters.of_run import BY_HAND
from include.recommender.registry.moves import promote_command
from include.recommender.runs.journal import RunFacts
from include.recommender.stages import judge, prepare, promote
from include.recommender.stages import profiles as quality
from include.recommender.stages import run_report as report
from include.recommender.stages.promote import Promotion
from include.recommender.stages.publish import Published
from include.recommender.stages.unchanged import unchanged
from include.recommender.storage.documents import plain

from . import heavy
from .pools import require_pool
from .run import Run, XCom
from .running import TaskBody
from .schedule import CHANNELS

log = logging.getLogger(__name__)

ASK = "approve"


def _resolve_snapshot(run: Run) -> XCom:
    require_pool(run)
    outcome = prepare.resolve_snapshot(run.workspace, run.facts.snapshot, run.run_date)
    run.note(**outcome.artifact.counts)
    return run.record_output(outcome)


def _download_reviews(run: Run) -> XCom:
    return run.record_output(prepare.download_reviews(run.workspace, run.artifact("resolve_snapshot")))


def _stop_if_unchanged(run: Run) -> bool:
    """Whether to continue: false if the channel's model has the same reviews and configuration."""
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


def _check_snapshot(run: Run) -> None:
    """Compare the snapshot with the one before it."""
    snapshot = run.artifact("resolve_snapshot").counted(SnapshotCounts).snapshot
    quality.check_snapshot(
        run.workspace,
        snapshot,
        run.artifact("parse_reviews"),
        config=run.config.quality,
        compared=lambda checks: run.note(compared=plain(checks)),
    )


def _recall_gate(run: Run) -> XCom:
    """Decide; HOLD and REJECT fail the task, unless a promotion is forced with a reason."""
    outcome = judge.recall_gate(
        run.workspace,
        run.artifact("evaluate"),
        top_k=run.config.evaluate.top_k,
        force_reason=run.request.force_reason,
        config=run.config.gate,
    )
    handle = run.record_output(outcome)
    run.note(**outcome.artifact.counts)
    judge.require_promotion(run.workspace, outcome.artifact)
    return handle | {"decision": outcome.artifact.counted(GateCounts).decision}


def _promote_model(run: Run) -> XCom:
    """Move the channel to the new version; skipped if it must not move."""
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
    rejudge = promote.CandidateJudge(heavy.candidate_of(run), run.record_output)
    promotion = promote.promote_model(run.workspace, request, run.artifact("evaluate"), rejudge)
    run.note(**asdict(promotion))
    if not promotion.moved:
        raise AirflowSkipException(promotion.why)
    _emit_event(promotion, published.uri)
    return asdict(promotion)


def _write_report(run: Run) -> str:
    """Write the run's report, as far as it ran."""
    return report.write_report(run.workspace, run.facts.folder_id)


def _emit_event(promotion: Promotion, uri: str) -> None:
    """Emit an event of the channel's asset, for DAGs scheduled on it; by an alias, as only the run knows the asset."""
    about: dict[str, Any] = {"model_id": promotion.model_id, "channel": promotion.channel, "uri": uri}
    events = get_current_context()["outlet_events"]
    events[CHANNELS].add(Asset(f"recommender_{promotion.channel}"), extra=about)


def _approved(run: Run) -> dict[str, str] | None:
    """Who approved, and the note; empty if no approval was needed, None if approval is not configured."""
    return (run.pull(ASK) or {}) if get_current_context()["dag"].has_task(ASK) else None


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


resolve_snapshot = TaskBody(_resolve_snapshot)
download_reviews = TaskBody(_download_reviews)
stop_if_unchanged = TaskBody(_stop_if_unchanged)
parse_reviews = TaskBody(heavy.parse_reviews)
check_snapshot = TaskBody(_check_snapshot)
encode_interactions = TaskBody(heavy.encode_interactions)
choose_model = TaskBody(heavy.choose_model)
train_als = TaskBody(heavy.train_als)
fit_neighbours = TaskBody(heavy.fit_neighbours)
fit_popularity = TaskBody(heavy.fit_popularity)
fit_rivals = TaskBody(heavy.fit_rivals)
evaluate = TaskBody(heavy.evaluate)
recall_gate = TaskBody(_recall_gate)
refit = TaskBody(heavy.refit)
upload_model = TaskBody(heavy.upload_model)
promote_model = TaskBody(_promote_model)
write_report = TaskBody(_write_report, despite_problems=True)
