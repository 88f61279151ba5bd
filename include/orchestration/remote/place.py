"""Where the heavy tasks run: here, or as jobs of AWS Batch. Light to import, as the DAG files import it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

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


def read_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place of RECOMMENDER_AWS_BATCH; None without one. Raises ConfigError."""
    text = environment.get(SETTING, "").strip()
    return Place.parse(text) if text else None
