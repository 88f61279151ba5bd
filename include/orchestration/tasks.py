"""The bodies of the DAG's tasks: open what earlier tasks handed on, call the stage, hand on a URI."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.recommender.registry.moves import promote_command
from include.recommender.stages import fit, judge, prepare, promote, publish, quality, report
from include.recommender.stages.fit import Fitted
from include.recommender.stages.publish import Made, Published
from include.recommender.stages.unchanged import unchanged
from include.recommender.stages.warm import candidate_start
from include.recommender.storage.artifacts import Artifact

from .fields import BY_HAND
from .run import Handle, Run, run_task
from .tuned import NONE_YET, check_unseen

log = logging.getLogger(__name__)


def resolve_snapshot() -> Handle:
    """Which snapshot this run uses."""

    def body(run: Run) -> Handle:
        outcome = prepare.resolve_snapshot(run.workspace, run.facts.snapshot, run.run_date)
        run.note(**outcome.artifact.counts)
        return run.hand_on(outcome)

    return _handle(run_task(body))


def download_reviews(resolved: Handle) -> Handle:
    """The snapshot's files onto this worker's disk."""
    return _handle(run_task(lambda run: run.hand_on(prepare.download_reviews(run.workspace, run.open(resolved)))))


def stop_if_unchanged(downloaded: Handle) -> bool:
    """Whether to go on: false where the channel's model was made from the same reviews and configuration."""

    def body(run: Run) -> bool:
        if run.facts.params.get("force"):
            log.info("Going on whether or not anything changed: force is set")
            return True
        same = unchanged(run.workspace, run.open(downloaded), run.as_of, run.facts.channel, run.config)
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


def parse_reviews(downloaded: Handle) -> Handle:
    """Review lines into coded columns."""

    def body(run: Run) -> Handle:
        return run.hand_on(prepare.parse_reviews(run.workspace, run.open(downloaded), run.config.parse))

    return _handle(run_task(body))


def check_snapshot(resolved: Handle, parsed: Handle) -> None:
    """The snapshot against the one before it."""

    def body(run: Run) -> None:
        snapshot = run.open(resolved).counts["snapshot"]
        checks = quality.check_snapshot(run.workspace, snapshot, run.open(parsed), run.config.quality)
        run.note(compared=[asdict(check) for check in checks])

    run_task(body)


def encode_interactions(parsed: Handle) -> Handle:
    """Reviews into a train matrix and a holdout."""

    def body(run: Run) -> Handle:
        outcome = prepare.encode_interactions(run.workspace, run.open(parsed), run.as_of, run.config.encode)
        check_unseen(run.workspace.root, run.facts.tuned, outcome.artifact)
        return run.hand_on(outcome)

    return _handle(run_task(body))


def train_als(parsed: Handle, encoded: Handle) -> Handle:
    """The candidate's factors."""

    def body(run: Run) -> Handle:
        fold, config = run.open(encoded), run.config.train
        start = candidate_start(run.workspace, fold, run.facts.channel, config)
        outcome = fit.train_als(run.workspace, run.open(parsed), fold, config, start)
        run.note(start=outcome.artifact.counts["start"])
        return run.hand_on(outcome)

    return _handle(run_task(body))


def fit_popularity(encoded: Handle) -> Handle:
    """The opponents, and the item prior."""

    def body(run: Run) -> Handle:
        return run.hand_on(fit.fit_popularity(run.workspace, run.open(encoded), run.config))

    return _handle(run_task(body))


def evaluate(parsed: Handle, encoded: Handle, trained: Handle, popularity: Handle) -> Handle:
    """All contestants on the same holdout."""

    def body(run: Run) -> Handle:
        outcome = judge.evaluate(
            run.workspace,
            run.open(parsed),
            Fitted(run.open(encoded), run.open(trained), run.open(popularity)),
            run.as_of,
            run.facts.channel,
            run.config,
        )
        run.note(champion=outcome.artifact.counts["champion"])
        return run.hand_on(outcome)

    return _handle(run_task(body))


def recall_gate(evaluated: Handle) -> Handle:
    """The verdict; HOLD and REJECT fail the task, unless a promotion is forced with a reason."""

    def body(run: Run) -> Handle:
        judged, reason = run.open(evaluated), run.facts.params.get("force_reason")
        outcome = judge.recall_gate(run.workspace, judged, run.config.evaluate.top_k, reason, run.config.gate)
        handle = run.hand_on(outcome)
        run.note(**outcome.artifact.counts)
        judge.require_promotion(run.workspace, judged, outcome.artifact)
        about = {
            "decision": outcome.artifact.counts["decision"],
            "table": judge.table(run.workspace, judged, outcome.artifact),
        }
        return handle | about

    return _handle(run_task(body))


def refit(parsed: Handle, encoded: Handle, trained: Handle, popularity: Handle) -> dict[str, Handle]:
    """The same configuration on everything before as_of."""

    def body(run: Run) -> dict[str, Handle]:
        judged = Fitted(run.open(encoded), run.open(trained), run.open(popularity))
        outcomes = fit.refit(run.workspace, run.open(parsed), judged, run.as_of, run.config)
        return {name: run.hand_on(outcome) for name, outcome in outcomes.items()}

    return dict(run_task(body))


def upload_model(handles: dict[str, Any]) -> dict[str, Any]:
    """The bundle into the registry."""

    def body(run: Run) -> dict[str, Any]:
        refitted = handles["refitted"]
        made = Made(
            resolved=run.open(handles["resolved"]),
            downloaded=run.open(handles["downloaded"]),
            parsed=run.open(handles["parsed"]),
            judged=Fitted(*(run.open(handles[name]) for name in ("encoded", "trained", "popularity"))),
            evaluated=run.open(handles["evaluated"]),
            gated=run.open(handles["gated"]),
            published=Fitted(*(run.open(refitted[name]) for name in ("encoded", "trained", "popularity"))),
        )
        facts = run.facts
        tuned = None if facts.tuned == NONE_YET else facts.tuned
        published = publish.upload_model(run.workspace, made, run.as_of, facts.run_id, run.config, tuned)
        run.note(**asdict(published))
        return asdict(published)

    return dict(run_task(body))


def promote_model(uploaded: dict[str, Any], handles: dict[str, Any]) -> dict[str, Any]:
    """The channel to the new version; skipped where it must not move."""

    def body(run: Run) -> dict[str, Any]:
        if run.facts.params.get("promotion") == BY_HAND:
            raise AirflowSkipException(_left_to_a_person(run, uploaded["model_id"]))
        reason = run.facts.params.get("force_reason")
        promotion = promote.promote_model(
            run.workspace,
            Published(**uploaded),
            run.facts.channel,
            run.open(handles["evaluated"]),
            f"{run.facts.dag_id} ({run.facts.run_type})",
            run.facts.run_id,
            _why(uploaded["verdict"], reason, handles.get("approved")),
            lambda: _judge_again(run, handles),
            forced=bool(reason),
        )
        run.note(**asdict(promotion))
        if not promotion.moved:
            raise AirflowSkipException(promotion.why)
        return asdict(promotion)

    return dict(run_task(body))


def _judge_again(run: Run, handles: dict[str, Any]) -> Artifact:
    """Against the champion of now; the journal then names this judgement, and the report shows it."""
    judged = Fitted(*(run.open(handles[name]) for name in ("encoded", "trained", "popularity")))
    parsed, config = run.open(handles["parsed"]), run.config
    evaluated = judge.evaluate(run.workspace, parsed, judged, run.as_of, run.facts.channel, config)
    run.hand_on(evaluated)
    reason = run.facts.params.get("force_reason")
    gated = judge.recall_gate(run.workspace, evaluated.artifact, config.evaluate.top_k, reason, config.gate)
    run.hand_on(gated)
    judge.require_promotion(run.workspace, evaluated.artifact, gated.artifact)
    return evaluated.artifact


def _why(verdict: str, reason: str | None, approved: dict[str, str] | None) -> str:
    told = f"forced: {reason}" if reason else f"verdict {verdict}"
    return f"{told}; approved {approved['approved']}" if approved else told


def _left_to_a_person(run: Run, model_id: str) -> str:
    why = f"promotion is by hand: {promote_command(model_id)}"
    run.note(moved=False, model_id=model_id, channel=run.facts.channel, why=why)
    return why


def write_report() -> str:
    """The run's report, up to where the run came."""
    return str(run_task(lambda run: report.write_report(run.workspace, run.facts.run_id), despite_problems=True))


def _handle(value: Any) -> Handle:
    return dict(value)
