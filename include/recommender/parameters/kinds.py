"""Kinds of values. One definition gives the check in Python, the JSON schema of Airflow's form, and the text.

The kinds are strict: `true` is no number, `"5"` is no number, NaN and infinity are no numbers; 5.0 is a whole number.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from .shown import SHOWN_CHARS, shown_value

MOST_NAMED = 5
Schema = dict[str, Any]  # JSON schema
# JSON over REST may hold NaN and infinity, which PostgreSQL refuses with an error of the server. NaN is on the wrong
# side of no bound: it alone is "at most -1 and at least 1".
_HUGE = 10**15
_NO_NUMBER = {"anyOf": [{"maximum": -1, "minimum": 1}, {"minimum": _HUGE}, {"maximum": -_HUGE}]}


def similar(name: str, known: Iterable[str]) -> str | None:
    """The most similar known name, if any."""
    found = get_close_matches(name[:SHOWN_CHARS].lower().replace("-", "_"), list(known), n=1)
    return found[0] if found else None


class Kind(ABC):
    """A set of values."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """The allowed values as text, to follow "expected"."""

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Whether a value belongs to the set."""

    @abstractmethod
    def schema(self) -> Schema:
        """The set as JSON schema (draft 7), with the keys that Airflow's form adds."""

    def read(self, value: Any) -> Any:
        """Convert an allowed value to the type in the configuration."""
        return value

    def parse(self, text: str) -> Any:
        """The value of a command-line text; the text itself if it is not a value."""
        return text

    def hint(self, value: object) -> str:
        """A hint at the wrong part of a value, or an empty text."""
        return ""

    def problem(self, value: object) -> str | None:
        """The given and the expected value; None for an allowed value."""
        return None if self.allows(value) else f"{shown_value(value)}: {self.hint(value)}expected {self.expected}"


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    expected = "true or false"

    def allows(self, value: object) -> bool:
        return isinstance(value, bool)

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Number(Kind):
    """A finite number within inclusive bounds."""

    low: float
    high: float

    @property
    def expected(self) -> str:
        return f"a number from {self.low:,.10g} to {self.high:,.10g}"

    def allows(self, value: object) -> bool:
        """NaN fails both comparisons."""
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    def schema(self) -> Schema:
        return {"type": "number", "minimum": self.low, "maximum": self.high, "not": _NO_NUMBER}

    def read(self, value: Any) -> float:
        return float(value)

    def parse(self, text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text


@dataclass(frozen=True)
class Whole(Number):
    """A whole number within inclusive bounds; 5.0 is one."""

    low: int
    high: int

    @property
    def expected(self) -> str:
        return f"a whole number from {self.low:,} to {self.high:,}"

    def allows(self, value: object) -> bool:
        return isinstance(value, (int, float)) and super().allows(value) and value == int(value)

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def read(self, value: Any) -> int:
        return int(value)

    def parse(self, text: str) -> Any:
        return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else text


@dataclass(frozen=True, kw_only=True)
class Text(Kind):
    """Text of limited length; blanks at the ends do not count towards `least`.

    pattern : of the whole text, in the syntax that Python and JavaScript share; None takes any text
    description : the texts that the pattern allows
    examples : suggestions of the form
    """

    most: int
    least: int = 0
    pattern: str | None = None
    description: str = ""
    examples: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        return self.description or f"text of {self.least} to {self.most:,} characters"

    def allows(self, value: object) -> bool:
        if not isinstance(value, str) or len(value) > self.most or len(value.strip()) < self.least:
            return False
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None

    def schema(self) -> Schema:
        """With `$(?!...)`, since in Python `$` alone allows a line feed."""
        pattern = {"pattern": rf"^(?:{self.pattern})$(?![\s\S])"} if self.pattern else {}
        least = {"minLength": self.least} if self.least else {}
        examples = {"examples": list(self.examples)} if self.examples else {}
        return {"type": "string", **pattern, **least, "maxLength": self.most, **examples}


@dataclass(frozen=True)
class OneText(Kind):
    """One of several texts, each with its meaning for the form."""

    options: Mapping[str, str]

    @property
    def expected(self) -> str:
        return ", ".join(f"`{option}`" for option in self.options)

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and value in self.options

    def schema(self) -> Schema:
        display = {option: meant for option, meant in self.options.items() if option != meant}
        return {"type": "string", "enum": list(self.options), **({"values_display": display} if display else {})}


@dataclass(frozen=True)
class Several(Kind):
    """A list of values of one kind, read as a sorted tuple without duplicates."""

    of: Kind
    most: int
    least: int = 0

    @property
    def expected(self) -> str:
        return f"a list of {self.least} to {self.most}: {self.of.expected}"

    def allows(self, value: object) -> bool:
        if not isinstance(value, (list, tuple)) or not self.least <= len(value) <= self.most:
            return False
        return all(map(self.of.allows, value))

    def schema(self) -> Schema:
        """With the allowed names as suggestions of the form."""
        items = self.of.schema()
        examples = {"examples": items["enum"]} if "enum" in items else {}
        return {"type": "array", "items": items, "minItems": self.least, "maxItems": self.most, **examples}

    def read(self, value: Any) -> tuple[Any, ...]:
        return tuple(sorted({self.of.read(each) for each in value}))

    def hint(self, value: object) -> str:
        """The elements that are not allowed, with the most similar names."""
        if not isinstance(value, (list, tuple)) or len(value) > self.most:
            return ""
        strange = [each for each in value if not self.of.allows(each)][:MOST_NAMED]
        return f"not allowed in it: {', '.join(map(self._named, strange))}; " if strange else ""

    def _named(self, value: object) -> str:
        known = self.of.options if isinstance(self.of, OneText) and isinstance(value, str) else ()
        near = similar(str(value), known) if known else None
        return shown_value(value) + (f" (did you mean {near}?)" if near else "")
