"""One DAG run for the library: its checked parameters, dates, stores and journal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout
from msgspec.structs import replace

from include.recommender.config import RetrainConfig, TuneConfig
from include.recommender.errors import ConfigError, DataError, NotFound, RecommenderError
from include.recommender.parameters import RUN, RunConfig, shown_value, unknown
from include.recommender.parameters.instants import instant
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.runs.journal import Journal, RunFacts, TaskError, TaskRecord
from include.recommender.stages.workspace import Outcome, Workspace, peak_bytes
from include.recommender.storage.artifacts import Artifact
from include.recommender.storage.cache import claim
from include.recommender.storage.documents import Origin, checked, plain
from include.recommender.tuning.tuned import with_tuned

from .failures import to_airflow
from .pinning import NONE_YET, find_tuned
from .settings import Settings

log = logging.getLogger(__name__)

Config = TypeVar("Config")
Output = TypeVar("Output")
XCom = dict[str, Any]  # the JSON object that a task hands to later ones
NO_PERSON = "dag_test"  # the user of a run by `dag.test()`, as `make run` makes it


class ArtifactHandle(msgspec.Struct, frozen=True):
    """The XCom of a task about an artifact."""

    uri: str
    reused: bool


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
    problems: list[str]
    ti: Any

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
        # Without map_indexes a mapped task would look for its own index.
        return self.ti.xcom_pull(task_ids=task, key=key, map_indexes=-1)

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


def run_task(body: Callable[[Run], Any], *, despite_problems: bool = False) -> Any:
    """Run a task's body within its DAG run; always write its record to the journal.

    Parameters
    ----------
    despite_problems : run it even if parameters are wrong: the report of such a run must be written

    Raises
    ------
    AirflowFailException
        If a retry cannot help.
    ResultReached
        On HOLD, REJECT and a rejection by a person.
    TransientError
        If Airflow should retry.
    """
    context = get_current_context()
    task_id, started = context["ti"].task_id, time.monotonic()
    try:
        run = open_run(context, Settings.from_environment().workspace())
        claim(run.workspace.cache)
        journal = Journal(run.workspace.root, run.facts.folder_id)
        _take_tuned(run, journal)
        journal.write_run(run.facts)
        journal.write(run.record)
    except Exception as error:
        log.exception("%s could not begin", task_id)
        raise to_airflow(error) from error
    try:
        if not despite_problems:
            run.check()
        result = body(run)
        run.record = replace(run.record, state="success")
    except BaseException as error:
        run.record = _ended(run.record, error)
        _write_quietly(journal, run.record, started)
        if not isinstance(error, Exception) or isinstance(error, AirflowSkipException):
            raise
        if not isinstance(error, RecommenderError):
            log.exception("%s failed", task_id)
        raise to_airflow(error) from error
    try:
        journal.write(_timed(run.record, started))
    except Exception as error:
        raise to_airflow(error) from error
    return result


def _take_tuned(run: Run, journal: Journal) -> None:
    """Replace defaults by the values of the requested tuned configuration, if any."""
    if run.problems:
        return
    try:
        found = find_tuned(run.workspace.root, journal, run.facts, run.record.task)
    except (NotFound, DataError) as error:
        run.problems.append(str(error))
        return
    if found is None:
        run.facts = replace(run.facts, tuned=NONE_YET if run.request.tuned else None)
        return
    params, taken = with_tuned(run.facts.params, found)
    run.facts = replace(run.facts, params=params, tuned=found.id, tuned_values=taken)
    run.config = RetrainConfig.from_params(params)
    log.info("Tuned configuration %s: %s", found.id, ", ".join(f"{k}={v:.4g}" for k, v in sorted(taken.items())))


def _ended(record: TaskRecord, error: BaseException) -> TaskRecord:
    """The record of a task that ended early; a deferred task is still running."""
    if isinstance(error, AirflowSkipException):
        return replace(record, state="skipped")
    if isinstance(error, (Exception, AirflowTaskTimeout, KeyboardInterrupt)):
        message = str(error) or "it was interrupted"
        return replace(record, state="failed", error=TaskError(type(error).__name__, message))
    return record


def _write_quietly(journal: Journal, record: TaskRecord, started: float) -> None:
    """Write the record; an error of the journal must not hide the original error."""
    try:
        journal.write(_timed(record, started))
    except Exception:  # the original error is raised
        log.exception("The record of %s could not be written", record.task)


def _timed(record: TaskRecord, started: float) -> TaskRecord:
    return replace(record, seconds=time.monotonic() - started, peak_bytes=peak_bytes())


def open_run(context: Mapping[str, Any], workspace: Workspace) -> Run:
    """Return the run with the problems of its parameters; `Run.check` raises them."""
    dag_run, params, ti = context["dag_run"], dict(context["params"]), context["ti"]
    run_date = dag_run.logical_date or dag_run.run_after
    problems = unknown(dag_run.conf or {}, context["dag"].params)
    request = _request(params, problems)
    as_of = _as_of(request, run_date, max(run_date, dag_run.run_after), problems)
    facts = RunFacts(
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        run_date=run_date.isoformat(),
        as_of=as_of.isoformat(),
        snapshot=request.snapshot,
        channel=request.channel,
        params=params,
        started_by=_started_by(dag_run),
    )
    return Run(
        facts=facts,
        request=request,
        config=_read(RetrainConfig.from_params, params, problems),
        search=_read(TuneConfig.read, params, problems),
        batch=_read(BatchConfig.read, params, problems),
        workspace=workspace,
        record=TaskRecord(
            task=_task_name(ti),
            state="running",
            try_number=ti.try_number,
            started_at=datetime.now(UTC).isoformat(),
        ),
        problems=problems,
        ti=ti,
    )


def _request(params: Mapping[str, Any], problems: list[str]) -> RunConfig:
    """The run parameters; a wrong value becomes its default and one more problem."""
    wrong = {name: problem for name, each in RUN.items() if (problem := each.problem(params.get(name, each.default)))}
    problems += wrong.values()
    return RunConfig.read({name: value for name, value in params.items() if name not in wrong})


def _read(read: Callable[[Mapping[str, Any]], Config], params: Mapping[str, Any], problems: list[str]) -> Config:
    """A configuration; if parameters are wrong, the defaults and more problems."""
    try:
        return read(params)
    except ConfigError as error:
        problems += error.problems
        return read({})


def _as_of(request: RunConfig, run_date: datetime, latest: datetime, problems: list[str]) -> datetime:
    """as_of, not after the run: otherwise no later model could replace this one."""
    if request.as_of is None:
        return run_date
    found = instant(request.as_of)
    if found <= latest:
        return found
    problems.append(
        f"as_of={shown_value(request.as_of)}: lies after the run's date, {latest.isoformat()}; expected that or earlier"
    )
    return run_date


def _task_name(ti: Any) -> str:
    """The id of a task, with the index of a mapped one."""
    mapped = getattr(ti, "map_index", -1)
    return ti.task_id if mapped is None or mapped < 0 else f"{ti.task_id}.{mapped}"


def _started_by(dag_run: Any) -> str:
    """The user who triggered the run or its backfill; else the kind of trigger."""
    kind = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    others = {"scheduled": "schedule", "asset_triggered": "asset", "operator_triggered": "another DAG"}
    name = getattr(dag_run, "triggering_user_name", None)
    return name if name and name != NO_PERSON else others.get(kind, kind)
