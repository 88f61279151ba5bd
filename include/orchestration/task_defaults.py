"""What all tasks of all DAGs have in common. Light to import: every DAG file imports it."""

from __future__ import annotations

from datetime import timedelta


def task_defaults(**own: object) -> dict[str, object]:
    """Airflow's `default_args`: retries with backoff from 30 s to 10 min, three hours a try.

    Parameters
    ----------
    own : further arguments, of one DAG
    """
    return {
        "owner": "recommender",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=3),
        **own,
    }
