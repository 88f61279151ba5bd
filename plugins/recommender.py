"""Reports in Airflow's UI, a check of the training pool when a run begins, and a metric when it ends.

Every process of Airflow imports this file, tasks too, so imports are lazy.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin
from pluggy import HookimplMarker

hookimpl = HookimplMarker("airflow")


class ReportPages:
    """An ASGI app that is built at its first request; it checks itself that a user may read the DAG's runs."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if self.app is None:
            from include.orchestration.report_pages import build

            self.app = build()
        await self.app(scope, receive, send)


class Pools:
    """Listens in the scheduler."""

    @hookimpl
    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:
        """Check the pools of a run that begins."""
        from include.orchestration.pools import check_pools

        check_pools(dag_run)


class Ends:
    """Listens in the scheduler."""

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        """Say when a run succeeded."""
        from include.orchestration.metrics import run_ended

        run_ended(dag_run.dag_id, "success")

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """Say when a run failed."""
        from include.orchestration.metrics import run_ended

        run_ended(dag_run.dag_id, "failed")


class RecommenderPlugin(AirflowPlugin):
    """The plugin that Airflow loads."""

    name = "recommender"
    fastapi_apps = [{"app": ReportPages(), "url_prefix": "/recommender", "name": "Reports of the recommender"}]
    external_views = [
        {
            "name": "Recommender report",
            "href": "/recommender/runs/{DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "recommender_report",
        }
    ]
    listeners = [Pools(), Ends()]
