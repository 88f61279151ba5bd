"""How a run ended, in plain text, from its report."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from include.recommender.registry.moves import COMMAND
from include.recommender.reporting.report import Report
from include.recommender.reporting.sentence import verdict_sentence
from include.recommender.runs.journal import TaskRecord
from include.recommender.serving.examples import Example

N_USERS, N_ITEMS = 5, 5
HARMLESS = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Copies:
    """The pages of a run: the report in the store, and what of it is on this machine.

    trend : recall over time
    dropped : the lines that the parse left out, with file, line and reason of each; None where there are none
    """

    uri: str
    report: Path
    trend: Path | None
    dropped: Path | None = None


def ending(report: Report, copies: Copies, points_to: str | None) -> str:
    """The gate's table, the verdict, what was reused, model, channel and pages; or what went wrong.

    Parameters
    ----------
    points_to : the version that the run's channel points to now, None where it points nowhere yet
    """
    parts = ["", _tasks(report.tasks)]
    if report.chosen:
        parts.append(f"Chosen:  {report.chosen.choice.text}")
    if report.table:
        parts += ["", report.table]
    parts += ["", *_result(report, copies.uri), f"Channel: {_channel(report, points_to)}"]
    if report.examples:
        parts += ["", *_lists(report.examples), ""]
    if report.run and report.run.tuned_values:
        parts.append(f"Tuned:   {report.run.tuned}")
    parts += [f"Report:  {copies.report}", f"         {copies.uri}"]
    if copies.trend:
        parts.append(f"Trend:   {copies.trend}")
    if copies.dropped:
        parts.append(f"Dropped: {copies.dropped}   (the lines that were left out: zcat it)")
    parts.append("S3:      ends now, and keeps all. `make registry ARGS=list` starts it as needed; `make up` serves it")
    return "\n".join(parts)


def status(report: Report) -> int:
    """0 where the run reached a verdict, or had nothing to do, and nothing failed after it; else 1."""
    return 1 if report.error or not (report.verdict or report.unchanged) else 0


def _tasks(tasks: list[TaskRecord]) -> str:
    reused = [row.task for row in tasks if row.reused]
    made = [row.task for row in tasks if row.artifacts and not row.reused]
    lines = [f"Made:    {', '.join(made) or 'nothing new'}"]
    if reused:
        lines.append(f"Reused:  {', '.join(reused)}")
    return "\n".join(lines)


def _result(report: Report, uri: str) -> list[str]:
    error, verdict, model = report.error, report.verdict, report.model
    if error:
        lines = [f"Error in {error.task}: {error.kind}: {_for_make(error.message)}"]
        return lines + (_model(model.model_id, model.uri) if model else ["Model:   none published"])
    if report.unchanged:
        model_id, root = report.unchanged, uri.partition("/reports/")[0]
        return [
            "Result:  nothing to do: the model of the table, which is that of an earlier run, has the same reviews and",
            "         configuration.",
            "         To train again all the same: make run CONF='{\"force\": true}'",
            *_model(model_id, f"{root}/models/{model_id}"),
        ]
    if not verdict:
        return ["The run ended without a verdict and without an error; see its log."]
    return [
        f"Result:  {verdict_sentence(verdict)}",
        *(_model(model.model_id, model.uri) if model else ["Model:   none published"]),
    ]


def _model(model_id: str, uri: str) -> list[str]:
    return [f"Model:   {model_id}", f"         {uri}"]


def _channel(report: Report, points_to: str | None) -> str:
    model, channel = report.model, report.channel
    if model and model.promoted:
        return f"{channel} points to it now"
    still = f"{channel} still points to {points_to}" if points_to else f"{channel} points nowhere yet"
    return f"{still}; not moved: {_for_make(model.why)}" if model and model.why else still


def _lists(examples: list[Example]) -> list[str]:
    """Users with their history and list, and the command for more."""
    lines = [f"{N_USERS} users of this model, the newest items of their history and the best items of their list:"]
    for row in examples[:: max(1, len(examples) // N_USERS)][:N_USERS]:
        more = ", ..." if row.n_items > N_ITEMS else ""
        lines.append(f"  {row.user}: {', '.join(row.history[:N_ITEMS])}{more} ({row.n_items})")
        lines.append(f"    -> {', '.join(f'{each.item} {each.score:.3f}' for each in row.items[:N_ITEMS])}")
    # Ids come from review files: only harmless ones become part of a command that somebody copies.
    user = next((row.user for row in examples[::-1] if HARMLESS.fullmatch(row.user)), "USER")
    return [*lines, f"More:    make registry ARGS='recommend {user} --why'"]


def _for_make(text: str) -> str:
    """Here the registry's command needs the local S3."""
    before, command, words = text.partition(f"{COMMAND} ")
    return f"{before}make registry ARGS='{words}'" if command else text
