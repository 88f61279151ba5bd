"""Where the heavy tasks run: here, or as jobs of AWS Batch. Light to import, as the DAG files import it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import task

from include.recommender.errors import ConfigError
from include.recommender.parameters.of_deployment import AWS_BATCH

SETTING = "RECOMMENDER_AWS_BATCH"
LONGEST = timedelta(hours=12)


@dataclass(frozen=True)
class Place:
    """A job queue, and the job definition whose jobs it runs."""

    queue: str
    definition: str

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read the value of RECOMMENDER_AWS_BATCH. Raises ConfigError."""
        problem = AWS_BATCH.problem(text)
        if problem:
            raise ConfigError(f"{SETTING}={problem}")
        queue, _, definition = text.partition("/")
        return cls(queue, definition or queue)

    def __str__(self) -> str:
        return f"{self.queue}/{self.definition}"


def place_of(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place of RECOMMENDER_AWS_BATCH; None without one. Raises ConfigError."""
    text = environment.get(SETTING, "").strip()
    return Place.parse(text) if text else None


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
