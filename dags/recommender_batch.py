"""
# Write recommendations

Writes the list of every user, and the most similar items of every item, as Parquet below
`recommendations/<model_id>/`. A promotion of `production` starts it; unpause it for that. You can also trigger it, with
the id of any version.

| task | what it does |
|---|---|
| resolve_model | the plan: the version (the parameter `model`, or what the channel points to) and the folder |
| recommend_users | one list a user, in parts of 50,000 users: `users/part-00000.parquet`, ... |
| similar_items | one list an item: `similar/part-00000.parquet`, ... |
| write_manifest | `manifest.json`, written last: a batch without it is not finished |

A task that was killed goes on at the part where it stopped. The lists are those of the command line. When a batch is
there, the asset `recommender_recommendations` is updated; its event names model and folder. A task whose version does
not fit into the free memory fails at once, with the arithmetic.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from include.orchestration.deployment import notifiers, training_pool
from include.orchestration.form import batch_params
from include.orchestration.remote.decorator import heavy_task
from include.orchestration.remote.place import read_place
from include.orchestration.schedule import MAIN_CHANNEL_MOVED, RECOMMENDATIONS
from include.orchestration.task_defaults import task_defaults

# A version and its lists take the memory of a training; two of them run one after the other.
COMPUTING: dict[str, Any] = {
    "pool": training_pool(),
    "max_active_tis_per_dag": 1,
    "execution_timeout": timedelta(hours=12),
}


@task(show_return_value_in_logs=False)
def resolve_model() -> dict[str, Any]:
    """Finds the version that makes the lists, and plans what is written."""
    from include.orchestration import batch_tasks

    return batch_tasks.resolve_model()


@heavy_task(read_place(), **COMPUTING)
def recommend_users() -> dict[str, Any]:
    """Writes the list of each user."""
    from include.orchestration import batch_tasks

    return batch_tasks.recommend_users()


@heavy_task(read_place(), **COMPUTING)
def similar_items() -> dict[str, Any]:
    """Writes the most similar items of each item."""
    from include.orchestration import batch_tasks

    return batch_tasks.similar_items()


@task(outlets=[RECOMMENDATIONS], show_return_value_in_logs=False)
def write_manifest() -> str:
    """Writes the manifest, which makes the batch exist."""
    from include.orchestration import batch_tasks

    return batch_tasks.write_manifest()


def notify_failure(context: Any) -> None:
    """Notifies about a failed run."""
    from include.orchestration import alerts

    alerts.run_failed(context)


@dag(
    schedule=[MAIN_CHANNEL_MOVED],
    start_date=datetime(2018, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["recommender"],
    doc_md=__doc__,
    params=batch_params(),
    on_failure_callback=notify_failure if notifiers() else None,
    default_args=task_defaults(),
)
def recommender_batch() -> None:
    """Wiring only; the work is in include/."""
    resolve_model() >> recommend_users() >> similar_items() >> write_manifest()


recommender_batch()
