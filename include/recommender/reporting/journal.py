"""The journal of a run: one small record a task below `reports/<run>/tasks/`, from which the report is written.

It lives in the store, not in Airflow's database, so a report can tell of failed runs and be read years later.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import DataError
from ..storage.objects import ObjectStore

MAIN_DAG = "recommender_retrain"
_FAMILY = "recommender_"
READABLE_CHARS, DIGEST_DIGITS = 150, 10
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,149}")
_MEND = "delete it and run the task again"


@dataclass(frozen=True)
class TaskError:
    """Why a task failed: the class of the error and its message."""

    kind: str
    message: str


@dataclass(frozen=True)
class TaskRecord:
    """What one task of a run did.

    state : running, success, skipped or failed; "running" in a finished run means that its process was killed
    started_at : ISO 8601, UTC; seconds : wall time; peak_bytes : peak resident memory of the task's process
    artifacts : stage -> URI of what it made or reused; reused : whether all of them were there already
    facts : small counts and sentences
    """

    task: str
    state: str
    try_number: int
    started_at: str
    seconds: float = 0.0
    peak_bytes: int = 0
    artifacts: dict[str, str] = field(default_factory=dict)
    reused: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    error: TaskError | None = None


@dataclass(frozen=True)
class RunFacts:
    """What a run was asked to do. `snapshot` None means: the newest on or before its date.

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
    params: dict[str, Any]
    tuned: str | None = None
    tuned_values: dict[str, Any] = field(default_factory=dict)
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
        """Record what the run was asked to do."""
        self._write("run", asdict(facts))

    def read_run(self) -> RunFacts:
        """Raises NotFound when no task of the run has begun, DataError when the record is damaged."""
        try:
            return RunFacts(**self._read("run.json"))
        except TypeError as error:
            raise DataError(f"{self._uri('run.json')}: not a run record ({error}); {_MEND}") from error

    def write(self, record: TaskRecord) -> None:
        """Record a task; a later record of the same task replaces it."""
        self._write(f"tasks/{record.task}", asdict(record))

    def tasks(self) -> list[str]:
        """Names of the tasks that have begun."""
        return [row.key.rsplit("/", 1)[1].removesuffix(".json") for row in self.objects.walk(f"{self.folder}/tasks/")]

    def read(self, task: str) -> TaskRecord:
        """The latest record of a task. Raises NotFound, or DataError when it is damaged."""
        name = f"tasks/{task}.json"
        row = self._read(name)
        try:
            return TaskRecord(**{**row, "error": row["error"] and TaskError(**row["error"])})
        except (TypeError, KeyError) as error:
            raise DataError(f"{self._uri(name)}: not a task record ({error}); {_MEND}") from error

    def records(self) -> list[TaskRecord]:
        """All tasks that have begun, by the time they began."""
        return sorted((self.read(task) for task in self.tasks()), key=lambda record: record.started_at)

    def _write(self, name: str, body: dict[str, Any]) -> None:
        self.objects.write(f"{self.folder}/{name}.json", json.dumps(body, indent=1, sort_keys=True).encode())

    def _read(self, name: str) -> dict[str, Any]:
        try:
            body = json.loads(self.objects.read(f"{self.folder}/{name}"))
        except ValueError as error:
            raise DataError(f"{self._uri(name)}: not JSON ({error}); {_MEND}") from error
        if not isinstance(body, dict):
            raise DataError(f"{self._uri(name)}: {type(body).__name__}, expected an object; {_MEND}")
        return body

    def _uri(self, name: str) -> str:
        return self.objects.uri(f"{self.folder}/{name}")


def folder_id(dag_id: str, run_id: str) -> str:
    """The id by which a run's journal is opened: the run's own, with its DAG where that is not the retraining.

    A retraining whose own id begins like that of another DAG's journal gets its DAG too, so no two are the same.
    """
    plain = dag_id == MAIN_DAG and not run_id.startswith(_FAMILY)
    return run_id if plain else f"{dag_id}__{run_id}"


def run_name(run_id: str) -> str:
    """A run id as a name that is safe in keys and file names, and another one for every other id.

    What had to be changed is marked with a digest. So are capitals, which some disks do not tell from small letters.
    """
    if _PLAIN.fullmatch(run_id):
        return run_id
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", run_id)[:READABLE_CHARS]
    # No plain name holds a tilde.
    digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]
    return f"{readable.lstrip('._')}~{digest}"
