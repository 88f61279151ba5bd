"""The sources of a report: the artifacts of a run, some of which may be missing or damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..errors import ConfigError, DataError
from ..runs.journal import Journal, RunFacts, TaskRecord
from ..storage.arrays import REMEDY, load_array
from ..storage.artifacts import Artifact, ArtifactStore, Counted
from ..storage.documents import Origin, checked, load_json
from ..storage.plain_names import plain_name

Value = TypeVar("Value")

# A TransientError is none of them: writing the report is tried again.
UNREADABLE = (DataError, ConfigError, OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass
class Sources:
    """Reads the readable sources, and records why others are unreadable.

    artifacts : stage -> artifact; those of the refit are named `refit/<stage>`
    unreadable : stage, `run` or `tasks/<task>` -> message
    """

    store: ArtifactStore
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def attempt(self, what: str, read: Callable[[], Value]) -> Value | None:
        """Return the value, or None; the reason is recorded."""
        try:
            return read()
        except UNREADABLE as error:
            self.unreadable[what] = f"{type(error).__name__}: {error}"
            return None

    def run(self, journal: Journal) -> RunFacts | None:
        """The request of the run."""
        return self.attempt("run", journal.read_run)

    def records(self, journal: Journal) -> list[TaskRecord]:
        """The tasks that have begun, by the time they began."""
        found = [self.attempt(f"tasks/{task}", lambda task=task: journal.read(task)) for task in journal.tasks()]  # type: ignore[misc]
        return sorted(filter(None, found), key=lambda record: record.started_at)

    def open_all(self, records: Iterable[TaskRecord]) -> None:
        """Open the manifests of all artifacts that the records name."""
        for record in records:
            for stage, uri in record.artifacts.items():
                name = f"refit/{stage}" if record.task == "refit" else stage
                artifact = self.attempt(name, lambda uri=uri: self.store.open(uri))  # type: ignore[misc]
                if artifact is not None:
                    self.artifacts[name] = artifact

    def counts(self, stage: str, kind: type[Counted]) -> Counted | None:
        """The counts in an artifact's manifest; `stage` may begin with `refit/`."""
        artifacts = self.artifacts.get(stage)
        return self.attempt(stage, lambda: artifacts.counted(kind)) if artifacts else None

    def fact(self, records: Iterable[TaskRecord], name: str, type_: Any) -> Any:
        """Return the first fact with a name as a type; None if it is missing or of another type (recorded)."""
        for record in records:
            if name in record.facts:
                origin = Origin(f"tasks/{record.task}", f"a fact {name}", "Clear the task.")
                return self.attempt(f"tasks/{record.task}", lambda: checked(record.facts[name], type_, origin))  # noqa: B023
        return None

    def document(self, stage: str, name: str, type_: type[Value]) -> Value | None:
        """Return a JSON file of an artifact as a type; None if it cannot be read."""
        artifacts = self.artifacts.get(stage)
        if artifacts is None:
            return None
        origin = Origin(f"{artifacts.uri}/{name}", f"what {stage} writes", REMEDY)
        return self.attempt(stage, lambda: checked(load_json(self.store.path(artifacts) / name, REMEDY), type_, origin))

    def json(self, stage: str, name: str) -> Any:
        """Return a JSON file of an artifact; None if it cannot be read."""
        if stage not in self.artifacts:
            return None
        return self.attempt(stage, lambda: load_json(self.store.path(self.artifacts[stage]) / name, REMEDY))

    def arrays(self, stage: str, names: Mapping[str, str]) -> dict[str, np.ndarray[Any, Any]]:
        """Arrays of an artifact, by the keys of `names` (key -> file name); empty if they cannot be read."""
        if stage not in self.artifacts:
            return {}

        def load() -> dict[str, np.ndarray[Any, Any]]:
            path = self.store.path(self.artifacts[stage])
            return {key: load_array(path / plain_name(name), np.float64, (None,)) for key, name in names.items()}

        return self.attempt(stage, load) or {}
