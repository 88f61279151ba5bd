"""The run's report: report.json and report.html below `reports/<run>/`."""

from __future__ import annotations

import logging

from ..reporting.collect import collect
from ..reporting.html import render_html
from ..reporting.trend import write_trend
from ..runs.journal import Journal
from ..storage.documents import to_json
from .workspace import Workspace

log = logging.getLogger(__name__)


def write_report(workspace: Workspace, run_id: str) -> str:
    """Write the report of a run, as far as it ran; return the URI of report.html."""
    journal = Journal(workspace.root, run_id)
    report = collect(journal, workspace.artifacts, workspace.snapshots)
    workspace.root.write(f"{journal.folder}/report.json", to_json(report))
    workspace.root.write(f"{journal.folder}/report.html", render_html(report).encode())
    uri = workspace.root.uri(f"{journal.folder}/report.html")
    log.info("Report: %s", uri)
    if report.run:
        log.info("Recall over time: %s", write_trend(workspace.root, report.run.channel))
    return uri
