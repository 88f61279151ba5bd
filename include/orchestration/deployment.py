"""How this deployment runs the DAG: the part of the environment that a DAG file reads. Light to import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from include.recommender.errors import ConfigError
from include.recommender.parameters.kinds import Kind
from include.recommender.parameters.of_deployment import HOURS, SWITCH, TOPIC
from include.recommender.runs.notifiers import notifier_rows

from .remote.place import Place, read_place
from .schedule import Schedule, read_schedule

TRAINING_POOL = "RECOMMENDER_TRAINING_POOL"
SNS_NOTIFIER = "airflow.providers.amazon.aws.notifications.sns.SnsNotifier"


@dataclass(frozen=True)
class NotifierSpec:
    """A notifier class by its import path, and its keyword arguments; texts among them are Jinja templates."""

    path: str
    kwargs: Mapping[str, Any] = field(repr=False)  # tokens are among them


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """RECOMMENDER_SCHEDULE, _SCHEDULE_TIMEZONE, _TRAINING_POOL, _AWS_BATCH, _WAIT_HOURS, _APPROVAL,
    _APPROVAL_HOURS, _SNS_TOPIC_ARN and _NOTIFIERS.

    schedule : the value of `dag(schedule=...)`
    place : where the heavy tasks run as jobs; None: in the worker
    wait : how long a run waits for the snapshot of its date; None: no waiting
    approval : how long a person has to approve a promotion; None: no approval
    notifiers : called for failed runs
    """

    schedule: Schedule
    training_pool: str
    place: Place | None
    wait: timedelta | None
    approval: timedelta | None
    notifiers: tuple[NotifierSpec, ...]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Deployment:
        """Read and check the environment; Airflow shows a problem as the DAG's import error.

        Raises
        ------
        ConfigError
            Every variable that is wrong.
        """
        read = _Reader(environment)
        wait = read.hours("RECOMMENDER_WAIT_HOURS", 0)
        approval = read.hours("RECOMMENDER_APPROVAL_HOURS", 72)
        found = cls(
            schedule=read.schedule(),
            training_pool=training_pool(environment),
            place=read.place(),
            wait=wait or None,
            approval=approval if read.flag("RECOMMENDER_APPROVAL") else None,
            notifiers=read.all_notifiers(),
        )
        if not approval:
            read.problems.append("RECOMMENDER_APPROVAL_HOURS: expected more than 0 hours")
        if read.problems:
            raise ConfigError(read.problems)
        return found


def training_pool(environment: Mapping[str, str] = os.environ) -> str:
    """The pool that training runs in."""
    return environment.get(TRAINING_POOL, "").strip() or "default_pool"


def notifiers(environment: Mapping[str, str] = os.environ) -> tuple[NotifierSpec, ...]:
    """The notifiers alone, for what does not depend on the schedule. Raises ConfigError if a variable is wrong."""
    read = _Reader(environment)
    found = read.all_notifiers()
    if read.problems:
        raise ConfigError(read.problems)
    return found


class _Reader:
    """Reads variables and collects their problems."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.problems: list[str] = []

    def _text(self, name: str) -> str:
        return self.environment.get(name, "").strip()

    def schedule(self) -> Schedule:
        try:
            return read_schedule(self.environment)
        except ConfigError as error:
            self.problems += error.problems
            return None

    def place(self) -> Place | None:
        try:
            return read_place(self.environment)
        except ConfigError as error:
            self.problems += error.problems
            return None

    def _value(self, name: str, kind: Kind, default: Any) -> Any:
        """The value of a variable; if it is not allowed, its default and one more problem."""
        text = self._text(name)
        if not text:
            return default
        value = kind.parse(text)
        problem = kind.problem(value)
        if problem:
            self.problems.append(f"{name}={problem}")
        return default if problem else value

    def hours(self, name: str, default: float) -> timedelta:
        return timedelta(hours=self._value(name, HOURS, default))

    def flag(self, name: str) -> bool:
        return bool(self._value(name, SWITCH, "0") == "1")

    def all_notifiers(self) -> tuple[NotifierSpec, ...]:
        return (*self.sns(), *self.notifiers())

    def sns(self) -> list[NotifierSpec]:
        arn = self._value("RECOMMENDER_SNS_TOPIC_ARN", TOPIC, None)
        if arn is None:
            return []
        about = {"target_arn": arn, "subject": "{{ alert.subject }}", "message": "{{ alert.text }}"}
        connection = self._text("RECOMMENDER_AWS_CONN_ID") or "aws_default"
        return [NotifierSpec(SNS_NOTIFIER, {**about, "region_name": arn.split(":")[3], "aws_conn_id": connection})]

    def notifiers(self) -> list[NotifierSpec]:
        """The notifiers of the variable, which may hold tokens: a problem names positions and kinds, never values."""
        name = "RECOMMENDER_NOTIFIERS"
        rows, problems = notifier_rows(self._text(name))
        self.problems += [f"{name}: {each}" for each in problems]
        return [NotifierSpec(row["class"], row.get("kwargs", {})) for row in rows]
