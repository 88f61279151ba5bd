"""What Airflow's REST API answers, as far as it is read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class AirflowPart(msgspec.Struct):
    """One part of Airflow in the answer about their health."""

    status: str | None
    latest_scheduler_heartbeat: str | None = None
    latest_dag_processor_heartbeat: str | None = None
    latest_triggerer_heartbeat: str | None = None

    @property
    def heartbeat(self) -> str:
        """The newest, or "never"."""
        found = (self.latest_scheduler_heartbeat, self.latest_dag_processor_heartbeat, self.latest_triggerer_heartbeat)
        return next(filter(None, found), "never")


class Health(msgspec.Struct):
    """Of /api/v2/monitor/health."""

    metadatabase: AirflowPart
    scheduler: AirflowPart
    triggerer: AirflowPart
    dag_processor: AirflowPart | None = None


class Token(msgspec.Struct):
    """Of /auth/token."""

    access_token: str


class BrokenFile(msgspec.Struct):
    """A DAG file that cannot be read."""

    filename: str
    stack_trace: str


class ImportErrors(msgspec.Struct):
    """Of /api/v2/importErrors."""

    import_errors: list[BrokenFile]


class Dag(msgspec.Struct):
    """Of /api/v2/dags/<id>."""

    is_paused: bool
    timetable_summary: str | None
    next_dagrun_run_after: datetime | None


class DagRun(msgspec.Struct):
    """A run of a DAG."""

    dag_run_id: str
    run_after: datetime


class DagRuns(msgspec.Struct):
    """Of /api/v2/dags/<id>/dagRuns."""

    dag_runs: list[DagRun]


class Pool(msgspec.Struct):
    """Of /api/v2/pools/<name>."""

    slots: int


class Connection(msgspec.Struct):
    """Of /api/v2/connections/<id>, or of a variable AIRFLOW_CONN_<ID> in JSON."""

    conn_type: str = ""
    login: str | None = None
    password: str | None = None
    extra: str | dict[str, Any] | None = None
