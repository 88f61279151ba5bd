"""What a scale run finds, as it is stored: one JSON line a run."""

from __future__ import annotations

from pathlib import Path

import msgspec


class TaskFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One task.

    seconds : of the task itself, without Airflow's part; cpu_s : CPU seconds of it
    held_bytes : resident when it began, left by the tasks before it in the same process
    peak_bytes : resident at most
    predicted_bytes : by the project, for the fit alone; 0 where it predicts nothing
    artifact_bytes : of the artifacts that it made
    """

    task: str
    state: str
    seconds: float
    cpu_s: float
    held_bytes: int
    peak_bytes: int
    artifact_bytes: int = 0
    predicted_bytes: int = 0


class RunFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the DAG.

    seconds : of the command, from start to end; first_task_s : until the first task began
    store_bytes : peak memory of the local S3; available_bytes : what the machine had left of its memory at least
    disk_bytes : of everything that the run left
    """

    reviews: int
    layout: str
    json_bytes: int
    packed_bytes: int
    commit: str
    as_of: str
    seconds: float
    first_task_s: float
    store_bytes: int
    available_bytes: int
    disk_bytes: int
    tasks: list[TaskFigures]

    @property
    def task_seconds(self) -> float:
        """Of all tasks."""
        return sum(row.seconds for row in self.tasks)

    @property
    def outside_s(self) -> float:
        """Seconds after the first task began that no task accounts for."""
        return self.airflow_s - self.first_task_s

    @property
    def airflow_s(self) -> float:
        """Airflow outside the stages: the start, and what is between and after the tasks."""
        return self.seconds - self.task_seconds

    @property
    def peak_bytes(self) -> int:
        """Of all tasks."""
        return max((row.peak_bytes for row in self.tasks), default=0)


def add(path: Path, figures: RunFigures) -> None:
    """Append a run to a file."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(figures) + b"\n")


def read(path: Path) -> list[RunFigures]:
    """All runs of a file."""
    return msgspec.json.Decoder(RunFigures).decode_lines(path.read_bytes())
