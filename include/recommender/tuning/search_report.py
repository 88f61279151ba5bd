"""The report of a search: report.html and tuning.json below `reports/<run>/`, from the journal."""

from __future__ import annotations

import logging

from markupsafe import Markup

from ..config import RetrainConfig, TuneConfig
from ..errors import ConfigError
from ..registry.verdict import Interval
from ..reporting.collect import is_sample, review_files
from ..reporting.pages import environment
from ..reporting.plots import Whisker, whiskers
from ..reporting.sources import Sources
from ..runs.journal import Journal
from ..stages.workspace import Workspace
from ..storage.documents import Origin, decode, to_json
from .drawing import history, importance, slices
from .records import Plan, SearchOutcome, TrialResult, TuneReport
from .space import value_text, values_of
from .study import importances, least_coverage

log = logging.getLogger(__name__)

REPORT_TASK = "write_report"
SHOWN = 10


def write_report(workspace: Workspace, run_id: str) -> str:
    """Write the report, as far as the run ran; return the URI of report.html."""
    journal = Journal(workspace.root, run_id)
    report = collect(journal, Sources(workspace.artifacts))
    workspace.root.write(f"{journal.folder}/tuning.json", to_json(report))
    workspace.root.write(f"{journal.folder}/report.html", render(report).encode())
    uri = workspace.root.uri(f"{journal.folder}/report.html")
    log.info("Report: %s", uri)
    return uri


def read_report(raw: bytes, where: str) -> TuneReport:
    """Parse the output of `write_report`. Raises DataError that names each wrong field."""
    return decode(raw, TuneReport, Origin(where, "the report of a search", "Clear the task write_report of that run."))


def collect(journal: Journal, sources: Sources) -> TuneReport:
    """Collect the report of a search."""
    run = sources.run(journal)
    records = [row for row in sources.records(journal) if row.task != REPORT_TASK]
    sources.open_all(row for row in records if row.task == "resolve_snapshot")
    found: list[TrialResult | None] = [sources.fact([row], "result", TrialResult) for row in records]
    results = sorted(filter(None, found), key=lambda row: row.number)
    plan: Plan | None = sources.fact(records, "plan", Plan)
    params = run.params if run else {}
    try:
        config, base = TuneConfig.read(params), RetrainConfig.from_params(params)
    except ConfigError:
        config, base = TuneConfig(), RetrainConfig()
    names = plan.names if plan else []
    return TuneReport(
        run=run,
        tasks=records,
        error=next((row for row in reversed(records) if row.state == "failed"), None),
        plan=plan,
        top_k=base.evaluate.top_k,
        level=base.gate.confidence_level,
        snapshot=sources.fact(records, "snapshot", str),
        generated_sample=is_sample(review_files(sources)),
        search=config,
        results=results,
        importances=importances(results, names, config) if results and plan else {},
        choice=sources.fact(records, "choice", SearchOutcome),
        tuned=sources.fact(records, "tuned", str),
        defaults=values_of(base, names),
        unreadable=sources.unreadable,
    )


def render(report: TuneReport) -> str:
    """The page."""
    ranked = sorted(report.results, key=lambda row: (row.pruned, -row.objective, row.number))
    page = environment().get_template("tune.html")
    return page.render(
        report=report,
        choice=report.choice,
        best=ranked[:SHOWN],
        results=report.results,
        names=report.names,
        value_text=value_text,
        plots=_plots(report),
    )


def _percent(level: float) -> str:
    return f"{level * 100:g} %"


def _plots(report: TuneReport) -> dict[str, Markup]:
    drawn: dict[str, Markup] = {}
    results, choice = report.results, report.choice
    if results:
        drawn["history"] = history(results, least_coverage(results, report.search), report.top_k)
        drawn["slices"] = slices(results, report.names, report.top_k)
    if report.importances:
        drawn["importance"] = importance(report.importances)
    if choice:
        drawn["against"] = _against(report, choice)
    return drawn


def _against(report: TuneReport, choice: SearchOutcome) -> Markup:
    """Best minus defaults: at each split, over all splits of the search, and on the newest split."""
    rows = [_whisker(f"split {at + 1}", each) for at, each in enumerate(choice.by_split)]
    rows += [
        _whisker(f"all splits of the search, {_percent(report.level)}", choice.searched, strong=True),
        _whisker(f"newest split, {_percent(report.search.confirm_level)}", choice.confirmed, strong=True),
        _whisker(f"newest split, {_percent(choice.alone_level)}", choice.alone, strong=True),
    ]
    alt = "Best minus defaults: " + "; ".join(
        f"{row.label} {row.mean:+.4f} ({row.low:+.4f} to {row.high:+.4f})" for row in rows
    )
    return whiskers("against", alt, rows, f"Recall@{report.top_k}, best minus defaults", zero=True)


def _whisker(label: str, interval: Interval, *, strong: bool = False) -> Whisker:
    return Whisker(label=label, mean=interval.mean, low=interval.low, high=interval.high, strong=strong)
