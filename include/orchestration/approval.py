"""A person's word before anything is published: Airflow's human-in-the-loop, with the gate's table to decide on."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param

from include.recommender.errors import GateRejected
from include.recommender.registry.channels import ChannelState
from include.recommender.registry.registry import is_older
from include.recommender.reporting.checks import span
from include.recommender.reporting.sentence import verdict_sentence
from include.recommender.reporting.tables import COLUMNS, ranked
from include.recommender.stages import judge, report

from .fields import BY_HAND
from .links import report_url
from .run import Run, run_task

log = logging.getLogger(__name__)

NOTE_CHARS = 500


def questions() -> dict[str, Param]:
    """What the form asks besides. Airflow wants it in the constructor's call, where it merges params."""
    about = f"Kept with the decision for good; at most {NOTE_CHARS} characters."
    return {"note": Param(None, type=["null", "string"], maxLength=NOTE_CHARS, title="Note", description=about)}


class Approve(ApprovalOperator):
    """Waits, without holding a worker, until somebody approves or rejects; a rejection fails the run.

    Nobody is asked where the run moves no channel. A rejection, or no answer in time, is not an error but nothing may
    look as if a model had been published: the task fails without retries, as the gate does.
    """

    def __init__(self, *, patience: timedelta, **kwargs: Any) -> None:
        super().__init__(
            subject="Promote the candidate?",
            body="",
            response_timeout=patience,
            fail_on_reject=True,
            **kwargs,
        )
        self.patience = patience

    def execute(self, context: Context) -> dict[str, str]:
        """Ask, and tell the notifiers that somebody is asked; or go on at once where there is nothing to ask."""
        return dict(run_task(lambda run: self._ask(run, context)))

    def _ask(self, run: Run, context: Context) -> dict[str, str]:
        from .alerts import approval_wanted, send

        state = run.workspace.registry.channels.read(run.facts.channel)
        nothing_moves = stays(run, state)
        if nothing_moves:
            log.info("Nobody is asked: %s", nothing_moves)
            run.note(not_asked=nothing_moves)
            return {}
        report.write_report(run.workspace, run.facts.folder_id)
        self.subject, self.body = subject(run), body(run, state)
        run.note(asked=self.subject)
        send(approval_wanted(run.facts.dag_id, run.facts.run_id, self.body, self.patience), context)
        super().execute(context)
        raise AssertionError("ApprovalOperator.execute waits")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Go on with who approved, or fail."""
        return dict(run_task(lambda run: self._conclude(run, context, event)))

    def _conclude(self, run: Run, context: Context, event: dict[str, Any]) -> dict[str, str]:
        answered = answer(event)
        words = f"by {answered['by']}" + (f": {answered['note']}" if answered["note"] else "")
        run.note(answer=words)
        try:
            super().execute_complete(context, event)
        except HITLRejectException as error:
            raise GateRejected(f"Rejected {words}: nothing is published.") from error
        except HITLTimeoutError as error:
            raise GateRejected(
                f"Nobody answered within {self.response_timeout}: nothing is published. Clear this task to ask again."
            ) from error
        return answered


def answer(event: Mapping[str, Any]) -> dict[str, str]:
    """Who answered, and the note, in one line each."""
    user, given = event.get("responded_by_user") or {}, event.get("params_input") or {}
    words = {"by": user.get("name") or user.get("id") or "nobody", "note": given.get("note") or ""}
    return {name: " ".join(str(text).split())[:NOTE_CHARS] for name, text in words.items()}


def stays(run: Run, state: ChannelState | None) -> str | None:
    """Why this run will not move its channel, so that nobody has to be asked; None where it may move it."""
    if run.facts.params.get("promotion") == BY_HAND:
        return f"promotion is by hand, so this run publishes and leaves {run.facts.channel} where it is"
    known = _known_until(run)
    if state is not None and is_older(known, state):
        return (
            f"this run knows nothing after {_minute(known)}, and {run.facts.channel} points to {state.model_id}, which "
            "knows more. It publishes, and leaves the channel where it is"
        )
    return None


def _known_until(run: Run) -> datetime:
    """As_of, or the instant after the newest review where that is earlier."""
    return min(run.as_of, datetime.fromtimestamp(run.made("parse_reviews").counts["last_s"] + 1, UTC))


def subject(run: Run) -> str:
    """The question, in one line."""
    return f"Promote the candidate to {run.facts.channel}? It knows all before {_minute(_known_until(run))}"


def body(run: Run, state: ChannelState | None) -> str:
    """What will happen, the gate's table and the report, as Markdown."""
    verdict = judge.read_verdict(run.workspace, run.made("recall_gate"))
    judged = judge.read_judged(run.workspace, run.made("evaluate"))
    forced = f"\n\nThe promotion is forced: {plain(verdict['forced'])}" if verdict["forced"] else ""
    return "\n\n".join(
        [
            f"**{plain(verdict_sentence(verdict))}**{forced}",
            table(judged, verdict),
            f"[Report of this run so far]({report_url(run.facts.dag_id, run.facts.run_id)})",
            f"**Approve**: {consequence(run.facts.channel, state)}",
            "**Reject**: nothing is published, no channel moves, and this run fails. The same happens when nobody "
            "answers in time.",
        ]
    )


def consequence(channel: str, state: ChannelState | None) -> str:
    """What an approval leads to."""
    now = f"points to `{state.model_id}`" if state else "points nowhere"
    return (
        f"the candidate is fitted again on everything before as_of and published. `{channel}` {now} now, and is moved "
        "to the new version. If the channel moves before that, the candidate is judged again, against the version that "
        "it then points to. The channel stays where it is if it points to this very model or to newer knowledge by "
        "then, or if this model was once rolled back."
    )


def table(judged: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """The gate's table in Markdown; a fenced block would run together into one paragraph."""
    k, level = verdict["top_k"], verdict["thresholds"]["confidence_level"]
    head = [f"at K = {k}", *COLUMNS.values(), f"candidate minus it, {level * 100:g} %"]
    rows = [_row(name, judged[name]["means"], verdict) for name in ranked(judged, k)]
    return "\n".join(_line(cells) for cells in [head, ["---", *["---:"] * (len(head) - 1)], *rows])


def _row(name: str, means: Mapping[str, float], verdict: Mapping[str, Any]) -> list[str]:
    k, interval = verdict["top_k"], verdict["intervals"].get(name)
    difference = f"{interval['mean']:+.4f} {span(interval)}" if interval else ""
    title = plain(name) + (" (strongest popularity)" if name == verdict["opponent"] else "")
    return [title, *(f"{means[f'{metric}@{k}']:.4f}" for metric in COLUMNS), difference]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", " ".join(text.split()))


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
