"""Where a run's report opens in Airflow's UI. Light to import: every DAG file and task imports it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

PREFIX = "/recommender"


def report_path(dag_id: str, run_id: str) -> str:
    """The path of a run's report on the API server."""
    return f"{PREFIX}/runs/{quote(dag_id, safe='')}/{quote(run_id, safe='')}"


def base_url() -> str:
    """The address of the UI that is configured; empty if none is."""
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def report_url(dag_id: str, run_id: str) -> str:
    """The report's address for messages outside the UI."""
    return f"{base_url()}{report_path(dag_id, run_id)}"


class ReportLink(BaseOperatorLink):
    """The button on a task."""

    @property
    def name(self) -> str:
        """The text of the button."""
        return "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return a path, which works under every host name of the UI."""
        return f"{urlsplit(base_url()).path}{report_path(ti_key.dag_id, ti_key.run_id)}"
