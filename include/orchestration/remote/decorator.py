"""The decorator of heavy tasks. Light to import, as the DAG files import it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk import task

from .place import Place


def heavy_task(place: Place | None, **arguments: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """A decorator like Airflow's `task`, for a task of `heavy`: it runs in this place, None being the worker."""
    return task(show_return_value_in_logs=False, **arguments) if place is None else _as_job(place, arguments)


def _as_job(place: Place, arguments: Mapping[str, Any]) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    # A job takes no slot of the machine here; Batch bounds how many run.
    kept = {name: value for name, value in arguments.items() if name not in {"pool", "max_active_tis_per_dag"}}

    def decorate(function: Callable[[], Any]) -> Callable[[], Any]:
        def make() -> Any:
            from .operator import AwsBatchTask

            about = f"{function.__doc__}\n\nRuns as a job of AWS Batch ({place})."
            return AwsBatchTask(place=str(place), task_id=function.__name__, doc_md=about, **kept)

        return make

    return decorate
