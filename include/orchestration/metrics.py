"""When runs ended, as a metric: a counter of a weekly run says too little after a restart of whatever collects it.

Airflow sends it where `[metrics] statsd_on` is set (docs/observability.md), else nowhere.
"""

from __future__ import annotations

from time import time

from include.recommender.runs.dag_names import BATCH_DAG, RETRAIN_DAG, TUNE_DAG

RUN_ENDED = "recommender.run_ended_timestamp"
DAGS = frozenset({RETRAIN_DAG, TUNE_DAG, BATCH_DAG})


def run_ended(dag_id: str, state: str) -> None:
    """Send the time in seconds since 1970, by DAG and state; runs in the scheduler."""
    if dag_id not in DAGS:
        return
    from airflow.observability.stats import gauge

    gauge(RUN_ENDED, int(time()), tags={"dag_id": dag_id, "state": state})
