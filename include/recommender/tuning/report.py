"""The report of a search: report.html and tuning.json below `reports/<run>/`, from the journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from markupsafe import Markup

from ..config import RetrainConfig, TuneConfig
from ..errors import ConfigError
from ..reporting.collect import is_sample, review_files
from ..reporting.journal import Journal, TaskRecord
from ..reporting.pages import environment
from ..reporting.plots import Whisker, whiskers
from ..reporting.sources import Sources
from ..stages.workspace import Workspace
from ..storage.documents import checked
from .drawing import history, importance, slices
from .space import values_of
from .steps import Choice, Plan
from .study import Result, importances, least_coverage

log = logging.getLogger(__name__)

Fact = TypeVar("Fact")

REPORT_TASK = "write_report"
SHOWN = 10


def write_report(workspace: Workspace, run_id: str) -> str:
    """Write the report up to where the run came; return the URI of report.html."""
    journal = Journal(workspace.root, run_id)
    report = collect(journal, Sources(workspace.artifacts))
    workspace.root.write(f"{journal.folder}/tuning.json", json.dumps(report, indent=1, sort_keys=True).encode())
    workspace.root.write(f"{journal.folder}/report.html", render(report).encode())
    uri = workspace.root.uri(f"{journal.folder}/report.html")
    log.info("Report: %s", uri)
    return uri


def collect(journal: Journal, sources: Sources) -> dict[str, Any]:
    """Everything that is known of a search, as plain JSON; sections that it did not come to are None or empty."""
    run = sources.run(journal)
    records = [row for row in sources.records(journal) if row.task != REPORT_TASK]
    sources.open_all(row for row in records if row.task == "resolve_snapshot")
    found = [_checked(sources, row.task, row.facts["result"], Result) for row in records if "result" in row.facts]
    results = sorted(filter(None, found), key=_number)
    plan, choice = _fact(records, "plan"), _fact(records, "choice")
    plan = plan if _checked(sources, "plan", plan, Plan) else None
    choice = choice if _checked(sources, "choice", choice, Choice) else None
    params = run.params if run else {}
    try:
        config, base = TuneConfig.read(params), RetrainConfig.from_params(params)
    except ConfigError:
        config, base = TuneConfig(), RetrainConfig()
    names = plan["names"] if plan else []
    return {
        "run": asdict(run) if run else None,
        "tasks": [asdict(row) for row in records],
        "error": next((asdict(row) for row in reversed(records) if row.state == "failed"), None),
        "plan": plan,
        "top_k": base.evaluate.top_k,
        "level": base.gate.confidence_level,
        "snapshot": _fact(records, "snapshot"),
        "generated_sample": is_sample(review_files(sources)),
        "search": asdict(config),
        "results": [row.as_dict() for row in results],
        "importances": importances(results, names, config) if results else {},
        "choice": choice,
        "tuned": _fact(records, "tuned"),
        "defaults": values_of(base, names),
        "unreadable": sources.unreadable,
    }


def _checked(sources: Sources, task: str, fact: Any, type_: type[Fact]) -> Fact | None:
    """A fact of a record as its type; None, with the reason kept, where it is another."""
    if fact is None:
        return None
    remedy = "Clear the task."
    return sources.attempt(f"tasks/{task}", lambda: checked(fact, type_, f"tasks/{task}", type_.__name__, remedy))


def _number(row: Result) -> int:
    return row.number


def _fact(records: Sequence[TaskRecord], name: str) -> Any:
    return next((row.facts[name] for row in records if name in row.facts), None)


def render(report: Mapping[str, Any]) -> str:
    """The page."""
    results = [Result(**row) for row in report["results"]]
    ranked = sorted(results, key=lambda row: (row.pruned, -row.objective, row.number))
    page = environment().get_template("tune.html")
    return page.render(
        report=report,
        choice=report["choice"],
        best=ranked[:SHOWN],
        results=results,
        names=report["plan"]["names"] if report["plan"] else [],
        plots=_plots(report, results),
    )


def _percent(level: float) -> str:
    return f"{level * 100:g} %"


def _plots(report: Mapping[str, Any], results: list[Result]) -> dict[str, Markup]:
    drawn: dict[str, Markup] = {}
    if results:
        floor = least_coverage(results, TuneConfig(**report["search"]))
        drawn["history"] = history(results, floor, report["top_k"])
        drawn["slices"] = slices(results, report["plan"]["names"], report["top_k"])
    if report["importances"]:
        drawn["importance"] = importance(report["importances"])
    choice = report["choice"]
    if choice:
        rows = [Whisker(f"cut {at + 1}", **each) for at, each in enumerate(choice["by_cut"])]
        rows += [
            Whisker(f"all cuts of the search, {_percent(report['level'])}", **choice["searched"], strong=True),
            Whisker(f"newest cut, {_percent(report['search']['confirm_level'])}", **choice["confirmed"], strong=True),
        ]
        if "alone" in choice:  # a search from before it was kept has none
            rows.append(Whisker(f"newest cut, {_percent(choice['alone_level'])}", **choice["alone"], strong=True))
        alt = "Best minus defaults: " + "; ".join(
            f"{row.label} {row.mean:+.4f} ({row.low:+.4f} to {row.high:+.4f})" for row in rows
        )
        unit = f"Recall@{report['top_k']}, best minus defaults"
        drawn["against"] = whiskers("against", alt, rows, unit, zero=True)
    return drawn
