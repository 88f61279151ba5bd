"""The approval page: the question, the gate's table, the report, and the consequence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from include.recommender.evaluation.judgement import metrics_of
from include.recommender.parameters.of_run import BY_HAND
from include.recommender.registry.channels import ChannelState
from include.recommender.registry.registry import is_older
from include.recommender.registry.verdict import Verdict
from include.recommender.reporting.checks import span
from include.recommender.reporting.sentence import verdict_sentence
from include.recommender.reporting.tables import COLUMNS, ranked
from include.recommender.stages import judge, prepare

from .links import report_url
from .run import Run


def reason_to_stay(run: Run, state: ChannelState | None) -> str | None:
    """Return why this run will not move its channel, so that no approval is needed; None if it may."""
    if run.request.promotion == BY_HAND:
        return f"promotion is by hand, so this run publishes and does not move {run.facts.channel}"
    known = _known_until(run)
    if state is not None and is_older(known, state):
        return (
            f"this run knows nothing after {_minute(known)}, and {run.facts.channel} points to {state.model_id}, which "
            "knows more. The run publishes and does not move the channel"
        )
    return None


def _known_until(run: Run) -> datetime:
    """The instant up to which this run knows everything, by its data."""
    known_s = prepare.known_until(run.workspace, run.artifact("parse_reviews"), run.as_of)
    return min(run.as_of, datetime.fromtimestamp(known_s, UTC))


def subject(run: Run) -> str:
    """The question, in one line."""
    return f"Promote the candidate to {run.facts.channel}? It knows all before {_minute(_known_until(run))}"


def body(run: Run, state: ChannelState | None) -> str:
    """The consequence, the gate's table and the report, as Markdown."""
    verdict = judge.read_verdict(run.workspace, run.artifact("recall_gate"))
    metrics = metrics_of(judge.read_judged(run.workspace, run.artifact("evaluate")))
    forced = f"\n\nThe promotion is forced: {plain(verdict.forced)}" if verdict.forced else ""
    return "\n\n".join(
        [
            f"**{plain(verdict_sentence(verdict))}**{forced}",
            table(metrics, verdict),
            f"[Report of this run so far]({report_url(run.facts.dag_id, run.facts.run_id)})",
            f"**Approve**: {consequence(run.facts.channel, state)}",
            "**Reject**: nothing is published, no channel moves, and this run fails. The same happens when nobody "
            "answers in time.",
        ]
    )


def consequence(channel: str, state: ChannelState | None) -> str:
    """The effect of an approval."""
    now = f"points to `{state.model_id}`" if state else "points nowhere"
    return (
        f"the candidate is fitted again on everything before as_of and published. `{channel}` {now} now, and is moved "
        "to the new version. If the channel moves before that, the candidate is judged again, against the version that "
        "it then points to. The channel stays where it is if it points to this very model or to newer knowledge by "
        "then, or if this model was once rolled back."
    )


def table(metrics: Mapping[str, Mapping[str, float]], verdict: Verdict) -> str:
    """The gate's table in Markdown; a fenced block would run together into one paragraph."""
    k, level = verdict.top_k, verdict.thresholds.confidence_level
    head = [f"at K = {k}", *COLUMNS.values(), f"candidate minus it, {level * 100:g} %"]
    rows = [_row(name, metrics[name], verdict) for name in ranked(metrics, k)]
    return "\n".join(_line(cells) for cells in [head, ["---", *["---:"] * (len(head) - 1)], *rows])


def _row(name: str, means: Mapping[str, float], verdict: Verdict) -> list[str]:
    k, interval = verdict.top_k, verdict.intervals.get(name)
    difference = f"{interval.mean:+.4f} {span(interval)}" if interval else ""
    title = plain(name) + (" (strongest popularity)" if name == verdict.baseline else "")
    return [title, *(f"{means[f'{metric}@{k}']:.4f}" for metric in COLUMNS), difference]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", " ".join(text.split()))


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
