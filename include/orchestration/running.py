"""Runs a task's body within Airflow's DAG run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout
from msgspec.structs import replace

from include.recommender.config import RetrainConfig, TuneConfig
from include.recommender.errors import ConfigError, DataError, NotFound, RecommenderError
from include.recommender.parameters import RUN, RunConfig, shown_value, unknown
from include.recommender.parameters.instants import instant
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.runs.journal import Journal, RunFacts, TaskRecord
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.cache import claim
from include.recommender.tuning.space import values_text
from include.recommender.tuning.tuned import with_tuned

from .failures import to_airflow
from .pinning import NONE_YET, find_tuned
from .recording import failed, recorded
from .run import Run
from .settings import Settings

log = logging.getLogger(__name__)

Config = TypeVar("Config")
Output = TypeVar("Output")
NO_PERSON = "dag_test"  # the user of a run by `dag.test()`, as `make run` makes it


@dataclass(frozen=True)
class TaskInstanceOutputs:
    """XComs, as Airflow keeps them."""

    ti: Any

    def pull(self, task: str, key: str) -> Any:
        """The XCom of a task, or None."""
        # Without map_indexes a mapped task would look for its own index.
        return self.ti.xcom_pull(task_ids=task, key=key, map_indexes=-1)

    def pull_all(self, tasks: Sequence[str]) -> list[Any]:
        """The return values of several tasks; of a mapped task, one for each of its instances."""
        return list(self.ti.xcom_pull(task_ids=list(tasks))) if tasks else []


@dataclass(frozen=True)
class TaskBody(Generic[Output]):
    """A body as a function without arguments, for the DAG file: it runs within Airflow's current run."""

    body: Callable[[Run], Output]
    despite_problems: bool = False

    def __call__(self) -> Output:
        return cast(Output, run_task(self.body, despite_problems=self.despite_problems))


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
    task_id = context["ti"].task_id
    try:
        run, journal = _begin(context)
    except Exception as error:
        log.exception("%s could not begin", task_id)
        raise to_airflow(error) from error
    try:
        return recorded(run, journal, body if despite_problems else _checked(body), _ended)
    except AirflowSkipException:
        raise
    except Exception as error:
        if not isinstance(error, RecommenderError):
            log.exception("%s failed", task_id)
        raise to_airflow(error) from error


def _begin(context: Mapping[str, Any]) -> tuple[Run, Journal]:
    run = open_run(context, Settings.from_environment().workspace())
    claim(run.workspace.cache)
    journal = Journal(run.workspace.root, run.facts.folder_id)
    _take_tuned(run, journal)
    journal.write_run(run.facts)
    journal.write(run.record)
    return run, journal


def _checked(body: Callable[[Run], Any]) -> Callable[[Run], Any]:
    def check_first(run: Run) -> Any:
        run.check()
        return body(run)

    return check_first


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
    log.info("Tuned configuration %s: %s", found.id, values_text(dict(sorted(taken.items()))))


def _ended(record: TaskRecord, error: BaseException) -> TaskRecord:
    """The record of a task that ended early; a deferred task is still running."""
    if isinstance(error, AirflowSkipException):
        return replace(record, state="skipped")
    if isinstance(error, (Exception, AirflowTaskTimeout, KeyboardInterrupt)):
        return failed(record, error)
    return record


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
        outputs=TaskInstanceOutputs(ti),
        problems=problems,
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
