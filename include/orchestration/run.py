"""One DAG run for the library: its checked parameters, dates, stores and journal. It imports no Airflow, so a job on
another machine opens the same run (`remote`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from include.recommender.config import RetrainConfig, TuneConfig
from include.recommender.errors import ConfigError, DataError
from include.recommender.parameters import RunConfig
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.runs.journal import RunFacts, TaskRecord
from include.recommender.stages.workspace import Outcome, Workspace
from include.recommender.storage.artifacts import Artifact
from include.recommender.storage.documents import Origin, checked, plain

Output = TypeVar("Output")
XCom = dict[str, Any]  # the JSON object that a task hands to later ones


class ArtifactHandle(msgspec.Struct, frozen=True):
    """The XCom of a task about an artifact."""

    uri: str
    reused: bool


class Outputs(Protocol):
    """The XComs of the earlier tasks of a run."""

    def pull(self, task: str, key: str) -> Any:
        """The XCom of a task, or None."""

    def pull_all(self, tasks: Sequence[str]) -> list[Any]:
        """The return values of several tasks; of a mapped task, one for each of its instances."""


def task_output(value: Any, type_: type[Output], task: str) -> Output:
    """The XCom of a task as a type. Raises DataError."""
    again = "Clear it and all tasks after it."
    if value is None:
        raise DataError(f"The task {task} returned nothing. {again}")
    return checked(value, type_, Origin(f"The task {task}", "what it returns", again))


@dataclass(kw_only=True)
class Run:
    """The context of a task body."""

    facts: RunFacts
    request: RunConfig
    config: RetrainConfig
    search: TuneConfig
    batch: BatchConfig
    workspace: Workspace
    record: TaskRecord
    outputs: Outputs
    problems: list[str]

    @classmethod
    def of(cls, facts: RunFacts, workspace: Workspace, record: TaskRecord, outputs: Outputs) -> Run:
        """The run of these facts. Raises ConfigError if one of their parameters is wrong."""
        params: Mapping[str, Any] = facts.params
        return cls(
            facts=facts,
            request=RunConfig.read(params),
            config=RetrainConfig.from_params(params),
            search=TuneConfig.read(params),
            batch=BatchConfig.read(params),
            workspace=workspace,
            record=record,
            outputs=outputs,
            problems=[],
        )

    def check(self) -> None:
        """Raise ConfigError with every parameter that is wrong."""
        if self.problems:
            raise ConfigError(self.problems)

    @property
    def as_of(self) -> datetime:
        """The instant after which nothing may be known."""
        return datetime.fromisoformat(self.facts.as_of)

    @property
    def run_date(self) -> datetime:
        """logical_date, else run_after."""
        return datetime.fromisoformat(self.facts.run_date)

    def pull(self, task: str, key: str = "return_value") -> Any:
        """Return the XCom of an earlier task of this run, or None.

        By name and not as an argument: every argument would add an edge to the graph.
        """
        return self.outputs.pull(task, key)

    def output(self, task: str, type_: type[Output]) -> Output:
        """Return the XCom of an earlier task as a type. Raises DataError if it is missing or wrong."""
        return task_output(self.pull(task), type_, task)

    def open(self, handle: ArtifactHandle) -> Artifact:
        """The artifact of a handle."""
        return self.workspace.artifacts.open(handle.uri)

    def artifact(self, task: str) -> Artifact:
        """The artifact that an earlier task returned."""
        return self.open(self.output(task, ArtifactHandle))

    def record_output(self, outcome: Outcome) -> XCom:
        """Record a stage's outcome; return the XCom: the URI, and whether it was reused."""
        artifact = outcome.artifact
        stages = {**self.record.artifacts, artifact.stage: artifact.uri}
        all_reused = outcome.reused and (self.record.reused or not self.record.artifacts)
        self.record = replace(self.record, artifacts=stages, reused=all_reused)
        return dict(plain(ArtifactHandle(artifact.uri, outcome.reused)))

    def note(self, **facts: Any) -> None:
        """Add to the facts of the task's record."""
        self.record = replace(self.record, facts={**self.record.facts, **facts})
