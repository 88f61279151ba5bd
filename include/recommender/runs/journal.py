"""The journal of a run: one small record a task below `reports/<run>/tasks/`, from which the report is written.

It is kept in the store, not in Airflow's database, so reports cover failed runs and stay readable for years.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from ..parameters.definition import ParameterValue
from ..storage.documents import Count, Origin, decode, instant_problem, to_json
from ..storage.objects import ObjectStore
from ..storage.plain_names import name_problem
from .dag_names import RETRAIN_DAG

State = Literal["running", "success", "skipped", "failed"]
_FAMILY = "recommender_"
READABLE_CHARS, DIGEST_DIGITS = 150, 10
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,149}")
_REMEDY = "Delete it and run the task again."

Record = TypeVar("Record", bound=msgspec.Struct)


class TaskError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a task failed: the class of the error and its message."""

    kind: str
    message: str


class TaskRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The record of one task of a run.

    state : running, success, skipped or failed; "running" in a finished run means that its process was killed
    started_at : ISO 8601, UTC; seconds : wall time; peak_bytes : peak resident memory of the task's process
    artifacts : stage -> URI of its artifact; reused : whether all of them already existed
    facts : small counts and sentences
    """

    task: str
    state: State
    try_number: Count
    started_at: str
    seconds: float = 0.0
    peak_bytes: Count = 0
    artifacts: dict[str, str] = {}
    reused: bool = False
    facts: dict[str, object] = {}
    error: TaskError | None = None


class RunFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The request of a run. `snapshot` None means: the newest on or before its date.

    params : with the values of the tuned configuration, where there is one; `tuned` is its id, `tuned_values` what came
        from it
    started_by : the person whom Airflow knows, or what else started the run
    """

    dag_id: str
    run_id: str
    run_type: str
    run_date: str
    as_of: str
    snapshot: str | None
    channel: str
    params: dict[str, ParameterValue]
    tuned: str | None = None
    tuned_values: dict[str, ParameterValue] = {}
    started_by: str = ""

    @property
    def folder_id(self) -> str:
        """The name of the run's folder below reports/: runs of other DAGs may have the same id as a retraining's."""
        return folder_id(self.dag_id, self.run_id)


@dataclass(frozen=True)
class Journal:
    """Records of one run."""

    objects: ObjectStore
    run_id: str

    @property
    def folder(self) -> str:
        """Key of the run's folder, `reports/<run>`, relative to the root."""
        return f"reports/{run_name(self.run_id)}"

    def write_run(self, facts: RunFacts) -> None:
        """Store the request of the run."""
        self._write("run", facts)

    def read_run(self) -> RunFacts:
        """Read the request. Raises NotFound if no task has begun, DataError if the record is damaged."""
        found = self._read("run.json", RunFacts, "a run record")
        problems = [
            instant_problem("run_date", found.run_date),
            instant_problem("as_of", found.as_of),
            _name_problem("channel", found.channel),
            None if run_name(self.run_id) in _folders(found) else f"run_id is {found.run_id!r}, of another run",
        ]
        self._refuse("run.json", "a run record", problems)
        return found

    def write(self, record: TaskRecord) -> None:
        """Store the record of a task; it replaces an earlier one."""
        self._write(f"tasks/{record.task}", record)

    def tasks(self) -> list[str]:
        """Names of the tasks that have begun."""
        prefix = f"{self.folder}/tasks/"
        keys = [row.key.removeprefix(prefix) for row in self.objects.walk(prefix)]
        return [key.removesuffix(".json") for key in keys if key.endswith(".json") and not name_problem(key)]

    def read(self, task: str) -> TaskRecord:
        """Read the latest record of a task. Raises NotFound, or DataError if it is damaged."""
        name = f"tasks/{task}.json"
        found = self._read(name, TaskRecord, "a task record")
        problems = [
            instant_problem("started_at", found.started_at),
            None if found.task == task else f"task is {found.task!r}, expected {task!r}",
            None if (found.state == "failed") == (found.error is not None) else "error and state disagree",
        ]
        self._refuse(name, "a task record", problems)
        return found

    def records(self) -> list[TaskRecord]:
        """All tasks that have begun, by the time they began."""
        return sorted((self.read(task) for task in self.tasks()), key=lambda record: record.started_at)

    def _write(self, name: str, document: msgspec.Struct) -> None:
        self.objects.write(f"{self.folder}/{name}.json", to_json(document))

    def _read(self, name: str, type_: type[Record], what: str) -> Record:
        return decode(self.objects.read(f"{self.folder}/{name}"), type_, Origin(self._uri(name), what, _REMEDY))

    def _refuse(self, name: str, what: str, problems: Iterable[str | None]) -> None:
        wrong = list(filter(None, problems))
        if wrong:
            raise Origin(self._uri(name), what, _REMEDY).refusal(wrong)

    def _uri(self, name: str) -> str:
        return self.objects.uri(f"{self.folder}/{name}")


def folder_id(dag_id: str, run_id: str) -> str:
    """The id by which a run's journal is opened: the run's own, with its DAG where that is not the retraining.

    A retraining whose own id begins like that of another DAG's journal gets its DAG too, so no two are the same.
    """
    plain = dag_id == RETRAIN_DAG and not run_id.startswith(_FAMILY)
    return run_id if plain else f"{dag_id}__{run_id}"


def _folders(facts: RunFacts) -> set[str]:
    """Names of the folders that may hold a run's record."""
    return {run_name(facts.run_id), run_name(facts.folder_id)}


def _name_problem(field_name: str, name: str) -> str | None:
    problem = name_problem(name)
    return f"{field_name} {problem}" if problem else None


def run_name(run_id: str) -> str:
    """Turn a run id into a name that is safe in keys and file names; different ids get different names.

    A changed name gets a digest. So does a name with capitals, since some disks ignore case.
    """
    if _PLAIN.fullmatch(run_id):
        return run_id
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", run_id)[:READABLE_CHARS]
    # No plain name holds a tilde.
    digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]
    return f"{readable.lstrip('._')}~{digest}"
