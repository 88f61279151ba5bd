"""The bodies of the DAG's tasks: open what earlier tasks handed on, call the stage, hand on a URI.

A function has the name of its task; `Run.made` opens by that name what another task handed on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.recommender.data.counts import Resolved
from include.recommender.evaluation.outcomes import Evaluated, Gated, Trained
from include.recommender.parameters.of_run import BY_HAND
from include.recommender.registry.moves import promote_command
from include.recommender.runs.journal import RunFacts
from include.recommender.stages import fit, judge, prepare, promote, publish
from include.recommender.stages import profiles as quality
from include.recommender.stages import run_report as report
from include.recommender.stages.candidate import Candidate
from include.recommender.stages.fit import Fitted
from include.recommender.stages.promote import Promotion
from include.recommender.stages.publish import Made, Published
from include.recommender.stages.unchanged import unchanged
from include.recommender.stages.warm import candidate_start
from include.recommender.storage.documents import plain

from .pinning import NONE_YET, check_unseen
from .pools import require_pool
from .run import Handle, Run, run_task
from .schedule import CHANNELS

log = logging.getLogger(__name__)

Handed = dict[str, Any]  # what goes over XCom


# The tasks by what they made, for those that put it together.
JUDGED = ("encode_interactions", "train_als", "learn_prior")
REFITTED = ("encoded", "trained", "prior")
ASK = "approve"


def resolve_snapshot() -> Handed:
    """Which snapshot this run uses."""

    def body(run: Run) -> Handed:
        require_pool(run)
        outcome = prepare.resolve_snapshot(run.workspace, run.facts.snapshot, run.run_date)
        run.note(**outcome.artifact.counts)
        return run.hand_on(outcome)

    return _handle(run_task(body))


def download_reviews() -> Handed:
    """The snapshot's files onto this worker's disk."""
    return _handle(
        run_task(lambda run: run.hand_on(prepare.download_reviews(run.workspace, run.made("resolve_snapshot"))))
    )


def stop_if_unchanged() -> bool:
    """Whether to go on: false where the channel's model was made from the same reviews and configuration."""

    def body(run: Run) -> bool:
        if run.asked.force:
            log.info("Going on whether or not anything changed: force is set")
            return True
        same = unchanged(
            run.workspace, run.made("download_reviews"), as_of=run.as_of, channel=run.facts.channel, config=run.config
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


def parse_reviews() -> Handed:
    """Review lines into coded columns."""

    def body(run: Run) -> Handed:
        return run.hand_on(prepare.parse_reviews(run.workspace, run.made("download_reviews"), run.config.parse))

    return _handle(run_task(body))


def check_snapshot() -> None:
    """The snapshot against the one before it."""

    def body(run: Run) -> None:
        snapshot = run.made("resolve_snapshot").counted(Resolved).snapshot
        quality.check_snapshot(
            run.workspace,
            snapshot,
            run.made("parse_reviews"),
            config=run.config.quality,
            compared=lambda checks: run.note(compared=plain(checks)),
        )

    run_task(body)


def encode_interactions() -> Handed:
    """Reviews into a train matrix and a holdout."""

    def body(run: Run) -> Handed:
        parsed, config = run.made("parse_reviews"), run.config.encode
        outcome = prepare.encode_interactions(run.workspace, parsed, run.as_of, config)
        check_unseen(run.workspace.root, run.facts.tuned, outcome.artifact)
        return run.hand_on(outcome)

    return _handle(run_task(body))


def train_als() -> Handed:
    """The candidate's item factors."""

    def body(run: Run) -> Handed:
        fold, config = run.made("encode_interactions"), run.config.train
        start = candidate_start(run.workspace, fold, run.facts.channel, config)
        outcome = fit.train_als(run.workspace, run.made("parse_reviews"), fold, config=config, start=start)
        run.note(start=outcome.artifact.counted(Trained).start)
        return run.hand_on(outcome)

    return _handle(run_task(body))


def fit_popularity() -> Handed:
    """The baselines."""

    def body(run: Run) -> Handed:
        config = run.config.popularity
        return run.hand_on(fit.fit_popularity(run.workspace, run.made("encode_interactions"), config))

    return _handle(run_task(body))


def learn_prior() -> Handed:
    """The item prior, with its power and half-life as learned inside train."""

    def body(run: Run) -> Handed:
        return run.hand_on(fit.learn_prior(run.workspace, run.made("encode_interactions"), run.config))

    return _handle(run_task(body))


def evaluate() -> Handed:
    """All models on the same holdout."""

    def body(run: Run) -> Handed:
        outcome = judge.evaluate(_candidate(run))
        run.note(champion=outcome.artifact.counted(Evaluated).champion)
        return run.hand_on(outcome)

    return _handle(run_task(body))


def recall_gate() -> Handed:
    """The verdict; HOLD and REJECT fail the task, unless a promotion is forced with a reason."""

    def body(run: Run) -> Handed:
        judged = run.made("evaluate")
        outcome = judge.recall_gate(
            run.workspace,
            judged,
            top_k=run.config.evaluate.top_k,
            force_reason=run.asked.force_reason,
            config=run.config.gate,
        )
        handle = run.hand_on(outcome)
        run.note(**outcome.artifact.counts)
        judge.require_promotion(run.workspace, outcome.artifact)
        return handle | {"decision": outcome.artifact.counted(Gated).decision}

    return _handle(run_task(body))


def refit() -> dict[str, Handed]:
    """The same configuration on everything before as_of."""

    def body(run: Run) -> dict[str, Handed]:
        outcomes = fit.refit(run.workspace, run.made("parse_reviews"), _judged(run), as_of=run.as_of, config=run.config)
        return {name: run.hand_on(outcome) for name, outcome in outcomes.items()}

    return dict(run_task(body))


def upload_model() -> dict[str, Any]:
    """The bundle into the registry."""

    def body(run: Run) -> dict[str, Any]:
        refitted = run.of("refit", dict[str, Handle])
        made = Made(
            resolved=run.made("resolve_snapshot"),
            downloaded=run.made("download_reviews"),
            parsed=run.made("parse_reviews"),
            judged=_judged(run),
            baselines=run.made("fit_popularity"),
            evaluated=run.made("evaluate"),
            gated=run.made("recall_gate"),
            published=Fitted(*(run.open(refitted[name]) for name in REFITTED)),
        )
        facts = run.facts
        tuned = None if facts.tuned == NONE_YET else facts.tuned
        published = publish.upload_model(
            run.workspace, made, as_of=run.as_of, run=facts.run_id, config=run.config, tuned=tuned
        )
        run.note(**asdict(published))
        return asdict(published)

    return dict(run_task(body))


def promote_model() -> dict[str, Any]:
    """The channel to the new version; skipped where it must not move."""

    def body(run: Run) -> dict[str, Any]:
        published = run.of("upload_model", Published)
        if run.asked.promotion == BY_HAND:
            raise AirflowSkipException(_left_to_a_person(run, published.model_id))
        reason, approved = run.asked.force_reason, _approved(run)
        if approved is not None and not approved.get("by"):
            raise AirflowSkipException(_nobody_was_asked(run, published.model_id))
        approved = approved or {}
        asked = promote.Asked(
            published=published,
            channel=run.facts.channel,
            who=approved.get("by") or run.facts.started_by,
            run=run.facts.run_id,
            why=_why(published.verdict, reason, approved, run.facts),
            force_reason=reason,
        )
        # The journal then names the newest judgement, and the report shows it.
        again = promote.Again(_candidate(run), run.hand_on)
        promotion = promote.promote_model(run.workspace, asked, run.made("evaluate"), again)
        run.note(**asdict(promotion))
        if not promotion.moved:
            raise AirflowSkipException(promotion.why)
        _announce(promotion, published.uri)
        return asdict(promotion)

    return dict(run_task(body))


def _announce(promotion: Promotion, uri: str) -> None:
    """An event of the channel's asset, on which other DAGs may be scheduled; by an alias, as only the run knows it."""
    about: dict[str, Any] = {"model_id": promotion.model_id, "channel": promotion.channel, "uri": uri}
    events = get_current_context()["outlet_events"]
    events[CHANNELS].add(Asset(f"recommender_{promotion.channel}"), extra=about)


def _approved(run: Run) -> dict[str, str] | None:
    """Who approved, and the note; empty where nobody was asked, and None where nobody has to be."""
    return (run.pull(ASK) or {}) if get_current_context()["dag"].has_task(ASK) else None


def _judged(run: Run) -> Fitted:
    return Fitted(*(run.made(task) for task in JUDGED))


def _candidate(run: Run) -> Candidate:
    return Candidate(
        workspace=run.workspace,
        parsed=run.made("parse_reviews"),
        fitted=_judged(run),
        baselines=run.made("fit_popularity"),
        as_of=run.as_of,
        channel=run.facts.channel,
        config=run.config,
    )


def _why(verdict: str, reason: str | None, approved: Mapping[str, Any], facts: RunFacts) -> str:
    found = f"forced: {reason}" if reason else f"verdict {verdict}"
    if not approved.get("by"):
        return found
    note = f" ({approved['note']})" if approved.get("note") else ""
    return f"{found}; approved by {approved['by']}{note}; run started by {facts.started_by}"


def _left_to_a_person(run: Run, model_id: str) -> str:
    why = f"promotion is by hand: {promote_command(model_id, run.facts.channel)}"
    run.note(moved=False, model_id=model_id, channel=run.facts.channel, why=why)
    return why


def _nobody_was_asked(run: Run, model_id: str) -> str:
    """The channel knew more when `approve` looked, and may know less by now: only a person may then move it."""
    channel = run.facts.channel
    why = f"nobody was asked to approve, since {channel} was not to move: {promote_command(model_id, channel)}"
    run.note(moved=False, model_id=model_id, channel=channel, why=why)
    return why


def write_report() -> str:
    """The run's report, up to where the run came."""
    return str(run_task(lambda run: report.write_report(run.workspace, run.facts.folder_id), despite_problems=True))


def _handle(value: Any) -> Handed:
    return dict(value)
