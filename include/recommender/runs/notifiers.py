"""RECOMMENDER_NOTIFIERS: a JSON list of notifiers. Tokens may be in it: a problem names positions and kinds only."""

from __future__ import annotations

import json
import re
from typing import Any

NOTIFIERS_EXPECTED = (
    'expected a JSON list such as [{"class": "package.module.Notifier", "kwargs": {"text": "{{ alert.subject }}"}}]. '
    "Its values are not shown, since tokens may be among them"
)


def notifier_rows(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries, and the problems; with a problem there are no entries."""
    rows, problem = _rows(text or "[]")
    problems = [problem] if problem else []
    wrong = ((number, _notifier_problem(row)) for number, row in enumerate(rows, 1))
    problems += [f"entry {number} {each}" for number, each in wrong if each]
    return ([], [f"{each}; {NOTIFIERS_EXPECTED}" for each in problems]) if problems else (rows, [])


def _rows(text: str) -> tuple[list[Any], str | None]:
    """The entries of a JSON list, or the problem."""
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
