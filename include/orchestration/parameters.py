"""What is wrong with parameters, in words: names that do not exist, values that the trigger form would refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from include.recommender.config import SHOWN_CHARS, shown_value

from .fields import Field, allowed

PAGE = "docs/parameters.md"
MOST_NAMED, MOST_UNKNOWN = 5, 20


def unknown(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """A line for each name that is no parameter, with the one that was probably meant."""
    known = list(known)
    strange = sorted(set(names) - set(known))
    more = (
        [f"and {len(strange) - MOST_UNKNOWN:,} more names that are no parameters"]
        if len(strange) > MOST_UNKNOWN
        else []
    )
    return [f"{_cut(name)}: there is no such parameter{_near(name, known)}" for name in strange[:MOST_UNKNOWN]] + more


def _cut(name: str) -> str:
    return name if len(name) <= SHOWN_CHARS else shown_value(name)


def _near(name: str, known: list[str]) -> str:
    near = _like(name, known)
    return f"; did you mean {near[0]}? {PAGE} lists all" if near else f"; {PAGE} lists all"


def _like(name: str, known: list[str]) -> list[str]:
    return get_close_matches(name[:SHOWN_CHARS].lower().replace("-", "_"), known, n=1)


def problems(conf: Mapping[str, Any], fields: Mapping[str, Field]) -> list[str]:
    """Everything that is wrong with a conf, before any run begins; what depends on the run's date comes later."""
    from jsonschema import Draft7Validator, FormatChecker  # type: ignore[import-untyped]

    found = unknown(conf, fields)
    for name, value in conf.items():
        if name not in fields:
            continue
        about = fields[name].schema
        if not Draft7Validator(about, format_checker=FormatChecker()).is_valid(value):
            found.append(f"{name}={shown_value(value)}: {_strange(value, about)}expected {allowed(about)}")
    return found


def _strange(value: object, about: Mapping[str, Any]) -> str:
    """Which elements of a list are not among its names, with those that were probably meant."""
    names = about.get("items", {}).get("enum")
    if not names or not isinstance(value, list):
        return ""
    strange = [str(each)[:SHOWN_CHARS] for each in value if each not in names][:MOST_NAMED]
    told = [f"{each!r}{f' (did you mean {near[0]}?)' if (near := _like(each, names)) else ''}" for each in strange]
    return f"not among them {', '.join(told)}; " if told else ""
