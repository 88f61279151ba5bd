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


def _with_examples(workspace: Workspace, report: Report) -> Report:
    """Lists of a few users, where there is a model; a report is written also where it cannot be loaded."""
    model_id = report.model.model_id if report.model else report.unchanged
    if model_id is None:
        return report
    try:
        found = examples(Recommender(ServedVersion.fetch(workspace.registry, model_id, workspace.cache)))
    except RecommenderError as error:
        return replace(report, unreadable={**report.unreadable, "recommendations": str(error)})
    return replace(report, examples=found)


def write_report(workspace: Workspace, run_id: str) -> str:
    """Write the report of a run, as far as it ran; return the URI of report.html."""
    journal = Journal(workspace.root, run_id)
    report = _with_examples(workspace, collect(journal, workspace.artifacts, workspace.snapshots))
    workspace.root.write(f"{journal.folder}/report.json", to_json(report))
    workspace.root.write(f"{journal.folder}/report.html", render_html(report).encode())
    uri = workspace.root.uri(f"{journal.folder}/report.html")
    log.info("Report: %s", uri)
    if report.run:
        log.info("Recall over time: %s", write_trend(workspace.root, report.run.channel))
    return uri
