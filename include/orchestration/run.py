"""One DAG run as the library sees it: its parameters checked, its dates, its stores and its journal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.recommender.config import RetrainConfig
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.reporting.journal import Journal, RunFacts, TaskError, TaskRecord
from include.recommender.stages.workspace import Outcome, Workspace, peak_bytes
from include.recommender.storage.artifacts import Artifact

from .failures import to_airflow
from .settings import Settings

log = logging.getLogger(__name__)

Handle = dict[str, Any]


@dataclass
class Run:
    """What a task body works with."""

    facts: RunFacts
    config: RetrainConfig
    workspace: Workspace
    record: TaskRecord

    @property
    def as_of(self) -> datetime:
        """The instant after which nothing may be known."""
        return datetime.fromisoformat(self.facts.as_of)

    @property
    def run_date(self) -> datetime:
        """logical_date, else run_after."""
        return datetime.fromisoformat(self.facts.run_date)

    def open(self, handle: Mapping[str, Any]) -> Artifact:
        """The artifact that an earlier task handed on."""
        return self.workspace.artifacts.open(handle["uri"])

    def hand_on(self, outcome: Outcome) -> Handle:
        """Record a stage's outcome; return what goes over XCom: the URI, and whether it was reused."""
        artifact = outcome.artifact
        stages = {**self.record.artifacts, artifact.stage: artifact.uri}
        all_reused = outcome.reused and (self.record.reused or not self.record.artifacts)
        self.record = replace(self.record, artifacts=stages, reused=all_reused)
        return {"uri": artifact.uri, "reused": outcome.reused}

    def note(self, **facts: Any) -> None:
        """Add to the facts of the task's record."""
        self.record = replace(self.record, facts={**self.record.facts, **facts})


def run_task(body: Callable[[Run], Any]) -> Any:
    """Run a task's body within its DAG run; keep its record in the journal, whatever happens.

    Raises
    ------
    AirflowFailException
        For whatever trying again cannot mend.
    TransientError
        For what Airflow should retry.
    """
    context = get_current_context()
    task_id, started = context["ti"].task_id, time.monotonic()
    try:
        run = open_run(context, Settings.from_environment().workspace())
        journal = Journal(run.workspace.root, run.facts.run_id)
        journal.write_run(run.facts)
        journal.write(run.record)
    except Exception as error:
        log.exception("%s could not begin", task_id)
        raise to_airflow(error) from error
    try:
        result = body(run)
        run.record = replace(run.record, state="success")
        return result
    except AirflowSkipException:
        run.record = replace(run.record, state="skipped")
        raise
    except Exception as error:
        run.record = replace(run.record, state="failed", error=TaskError(type(error).__name__, str(error)))
        if not isinstance(error, RecommenderError):
            log.exception("%s failed", task_id)
        raise to_airflow(error) from error
    finally:
        took = time.monotonic() - started
        journal.write(replace(run.record, seconds=took, peak_bytes=peak_bytes()))


def open_run(context: Mapping[str, Any], workspace: Workspace) -> Run:
    """Check the parameters and dates of a DAG run.

    Raises
    ------
    ConfigError
        Every parameter that is wrong.
    """
    dag_run, params = context["dag_run"], dict(context["params"])
    run_date = dag_run.logical_date or dag_run.run_after
    problems, config, as_of = [], RetrainConfig(), run_date
    try:
        config = RetrainConfig.from_params(params)
    except ConfigError as error:
        problems += error.problems
    try:
        as_of = _instant(params["as_of"]) if params.get("as_of") else run_date
    except ConfigError as error:
        problems += error.problems
    unknown = sorted(set(dag_run.conf or {}) - set(context["dag"].params))
    problems += [f"{name}: there is no such parameter; the trigger form lists them" for name in unknown]
    if problems:
        raise ConfigError(problems)
    facts = RunFacts(
        dag_run.dag_id,
        dag_run.run_id,
        str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        run_date.isoformat(),
        as_of.isoformat(),
        params.get("snapshot"),
        params.get("channel") or "production",
        params,
    )
    ti = context["ti"]
    record = TaskRecord(ti.task_id, "running", ti.try_number, datetime.now(UTC).isoformat())
    return Run(facts, config, workspace, record)


def _instant(text: str) -> datetime:
    """An ISO date (its midnight, UTC) or date-time (UTC where it names no zone)."""
    try:
        if len(text) == len("2018-01-01"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise ConfigError(
            f"as_of={text!r}: expected a date such as 2018-10-01, or a date-time such as 2018-10-01T12:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
