"""The run's report: report.json and report.html below `reports/<run>/`."""

from __future__ import annotations

import logging

from msgspec.structs import replace

from ..errors import RecommenderError
from ..reporting.collect import collect
from ..reporting.html import render_html
from ..reporting.report import Report
from ..reporting.trend import write_trend
from ..runs.journal import Journal
from ..serving.examples import examples
from ..serving.recommender import Recommender
from ..serving.version import ServedVersion
from ..storage.documents import to_json
from .workspace import Workspace

log = logging.getLogger(__name__)


def write_report(workspace: Workspace, run_id: str) -> str:
    """Write the report of a run, as far as it ran; return the URI of report.html.

    The report is written first without lists: the process may be killed while it loads the model that makes them.
    """
    journal = Journal(workspace.root, run_id)
    report = collect(journal, workspace.artifacts, workspace.snapshots)
    _write(journal, report)
    if report.run:
        log.info("Recall over time: %s", write_trend(workspace.root, report.run.channel))
    model_id = report.model.model_id if report.model else report.unchanged
    if model_id is not None:
        _write(journal, _with_examples(workspace, report, model_id))
    uri = workspace.root.uri(f"{journal.folder}/report.html")
    log.info("Report: %s", uri)
    return uri


def _write(journal: Journal, report: Report) -> None:
    journal.objects.write(f"{journal.folder}/report.json", to_json(report))
    journal.objects.write(f"{journal.folder}/report.html", render_html(report).encode())


def _with_examples(workspace: Workspace, report: Report, model_id: str) -> Report:
    """Add lists of a few users, or the reason why there are none."""
    try:
        version = ServedVersion.fetch(workspace.registry, model_id, workspace.cache)
        return replace(report, examples=examples(Recommender(version)))
    except (RecommenderError, MemoryError) as error:
        log.warning("The report has no lists: %s", error)
        return replace(report, unreadable={**report.unreadable, "recommendations": str(error) or "not enough memory"})
