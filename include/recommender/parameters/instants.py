"""Dates and instants in ISO 8601, as users write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from .kinds import Kind, Schema

DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_ZONE = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])"
_CLOCK = rf"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{{1,6}})?)?{_ZONE}?"
_INSTANT = f"{DAY}(?:[T ]{_CLOCK})?"
MOST_CHARS = 40  # an instant with microseconds and zone has 32


def instant(text: str) -> datetime:
    """The instant of a date (its midnight) or a date-time; UTC if it has no zone. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is(pattern: str, value: object) -> bool:
    """Whether a value is text that matches a pattern and is an existing instant, also in UTC."""
    if not isinstance(value, str) or len(value) > MOST_CHARS or not re.fullmatch(pattern, value):
        return False
    try:
        instant(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


@dataclass(frozen=True)
class Day(Kind):
    """A date."""

    expected = "a date as YYYY-MM-DD"

    def allows(self, value: object) -> bool:
        return _is(DAY, value)

    def schema(self) -> Schema:
        """With the format for which the form shows a calendar."""
        return {"type": "string", "format": "date", "maxLength": len("2018-10-01")}


@dataclass(frozen=True)
class Instant(Kind):
    """A date or a date-time."""

    expected = "a date or date-time, ISO 8601, such as 2018-10-01T12:00:00Z"

    def allows(self, value: object) -> bool:
        return _is(_INSTANT, value)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": rf"^(?:{_INSTANT})$(?![\s\S])", "maxLength": MOST_CHARS}
