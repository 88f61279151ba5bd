"""How this deployment runs the DAG: the part of the environment that a DAG file reads. Light to import."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from include.recommender.errors import ConfigError

from .schedule import Schedule, read_schedule

TRAINING_POOL = "RECOMMENDER_TRAINING_POOL"
SNS_NOTIFIER = "airflow.providers.amazon.aws.notifications.sns.SnsNotifier"
LONGEST_WAIT_H = 24 * 31
NOTIFIERS_EXPECTED = (
    'expected a JSON list such as [{"class": "package.module.Notifier", "kwargs": {"text": "{{ alert.subject }}"}}]. '
    "Its values are not shown, since tokens may be among them"
)


@dataclass(frozen=True)
class NotifierSpec:
    """A notifier class by its import path, and its keyword arguments; texts among them are Jinja templates."""

    path: str
    kwargs: Mapping[str, Any] = field(repr=False)  # tokens are among them


@dataclass(frozen=True)
class Deployment:
    """RECOMMENDER_SCHEDULE, _SCHEDULE_TIMEZONE, _TRAINING_POOL, _WAIT_HOURS, _APPROVAL, _APPROVAL_HOURS,
    _SNS_TOPIC_ARN and _NOTIFIERS.

    schedule : what `dag(schedule=...)` takes
    wait : how long a run waits for the snapshot of its date; None does not wait
    approval : how long a person has to approve a promotion; None asks nobody
    notifiers : who is told of failed runs
    """

    schedule: Schedule
    training_pool: str
    wait: timedelta | None
    approval: timedelta | None
    notifiers: tuple[NotifierSpec, ...]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Deployment:
        """Read and check the environment; Airflow shows what is wrong as the DAG's import error.

        Raises
        ------
        ConfigError
            Every variable that is wrong.
        """
        read = _Reader(environment)
        wait = read.hours("RECOMMENDER_WAIT_HOURS", 0)
        approval = read.hours("RECOMMENDER_APPROVAL_HOURS", 72)
        found = cls(
            read.schedule(),
            training_pool(environment),
            wait or None,
            approval if read.flag("RECOMMENDER_APPROVAL") else None,
            (*read.sns(), *read.notifiers()),
        )
        if not approval:
            read.problems.append("RECOMMENDER_APPROVAL_HOURS: expected more than 0 hours")
        if read.problems:
            raise ConfigError(read.problems)
        return found


def training_pool(environment: Mapping[str, str] = os.environ) -> str:
    """The pool that training runs in."""
    return environment.get(TRAINING_POOL, "").strip() or "default_pool"


class _Reader:
    """Reads variables, and keeps what is wrong with them."""

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

    def hours(self, name: str, default: float) -> timedelta:
        text = self._text(name) or str(default)
        try:
            hours = float(text)
        except ValueError:
            hours = -1
        if not 0 <= hours <= LONGEST_WAIT_H:
            self.problems.append(f"{name}={text!r}: expected hours, a number from 0 to {LONGEST_WAIT_H}")
            return timedelta(hours=1)
        return timedelta(hours=hours)

    def flag(self, name: str) -> bool:
        text = self._text(name) or "0"
        if text not in {"0", "1"}:
            self.problems.append(f"{name}={text!r}: expected 1 (on) or 0 (off)")
        return text == "1"

    def sns(self) -> list[NotifierSpec]:
        arn = self._text("RECOMMENDER_SNS_TOPIC_ARN")
        if not arn:
            return []
        parts = re.fullmatch(r"arn:aws[\w-]*:sns:([\w-]+):\d{12}:[\w.-]+", arn)
        if parts is None:
            self.problems.append(
                f"RECOMMENDER_SNS_TOPIC_ARN={arn!r}: expected the ARN of a topic, "
                "such as arn:aws:sns:eu-west-1:123456789012:recommender"
            )
            return []
        about = {"target_arn": arn, "subject": "{{ alert.subject }}", "message": "{{ alert.text }}"}
        connection = self._text("RECOMMENDER_AWS_CONN_ID") or "aws_default"
        return [NotifierSpec(SNS_NOTIFIER, {**about, "region_name": parts[1], "aws_conn_id": connection})]

    def notifiers(self) -> list[NotifierSpec]:
        """The notifiers of the variable, which may hold tokens: a problem names places and kinds, never values."""
        name = "RECOMMENDER_NOTIFIERS"
        rows, problem = _rows(self._text(name) or "[]")
        found: list[NotifierSpec] = []
        problems = [problem] if problem else []
        for number, row in enumerate(rows, 1):
            wrong = _notifier_problem(row)
            if wrong:
                problems.append(f"entry {number} {wrong}")
            else:
                found.append(NotifierSpec(row["class"], row.get("kwargs", {})))
        self.problems += [f"{name}: {each}; {NOTIFIERS_EXPECTED}" for each in problems]
        return [] if problems else found


def _rows(text: str) -> tuple[list[Any], str | None]:
    """The entries of a JSON list, or why there are none."""
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        # Not `from error`: the error keeps the whole text.
        return [], f"not JSON (line {error.lineno}, column {error.colno})"
    except RecursionError:
        return [], "nested too deeply"
    if not isinstance(rows, list):
        return [], f"{_kind(rows)} in the place of a list"
    return rows, None


def _notifier_problem(row: Any) -> str | None:
    if not isinstance(row, dict):
        return f"is {_kind(row)} in the place of an object"
    if sorted(row) not in (["class"], ["class", "kwargs"]):
        return "does not have the keys class and, if need be, kwargs"
    if not isinstance(row["class"], str) or not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", row["class"]):
        return "has no import path of a class in class"
    if not isinstance(row.get("kwargs", {}), dict):
        return f"has {_kind(row['kwargs'])} in kwargs, in the place of an object"
    return None


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
