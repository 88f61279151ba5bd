"""The templates and their filters for numbers, dates and names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

# Literals: a page needs no numpy.
TITLES = {"plain_als": "plain ALS", "item_knn": "item-kNN", "without_prior": "candidate without prior"}
_NAMES = re.compile(rf"\b(?:popularity_\w+|{'|'.join(TITLES)})\b")


@cache
def environment() -> Environment:
    """Templates of this package; HTML is escaped."""
    pages = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters |= {
        "number": number,
        "instant": instant,
        "megabytes": megabytes,
        "signed": signed,
        "title": title,
        "prose": prose,
    }
    return pages


def number(value: Any, digits: int = 4) -> str:
    """Whole numbers with separators, others with some digits, nothing as a dash."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def signed(value: float, digits: int = 4) -> str:
    """A number with its sign; the minus is U+2212."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def megabytes(size_bytes: float | None) -> str:
    """Bytes as MB."""
    return number(None) if size_bytes is None else f"{size_bytes / 1e6:,.1f} MB"


def instant(value: Any) -> str:
    """Seconds since 1970, or an ISO text, as `2018-08-27 12:00 UTC`; other values unchanged."""
    if value is None:
        return number(None)
    try:
        when = datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else datetime.fromisoformat(value)
        when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return str(value)
    return f"{when:%Y-%m-%d %H:%M} UTC" if not when.second else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def title(model: str) -> str:
    """A model's name for readers: `popularity_30d` as "popularity, 30 days"."""
    if model in TITLES:
        return TITLES[model]
    family, _, rest = model.partition("_")
    if family == "earlier" and rest.isdecimal():
        return f"earlier version {rest}"
    if family != "popularity" or not rest:
        return model
    days = rest.removesuffix("d")
    return f"popularity, {days} days" if days.isdigit() else f"popularity, {rest.replace('_', ' ')}"


def prose(text: str, versions: Mapping[str, str] | None = None) -> str:
    """The gate's text for readers: models by their titles, a blank before a percent sign.

    Parameters
    ----------
    versions : model such as "earlier_1" -> the id of its version, which replaces it
    """
    named = re.sub(r"\bearlier_\d+", lambda found: (versions or {}).get(found[0]) or title(found[0]), text)
    return percent(_NAMES.sub(lambda found: title(found[0]), named))


def percent(text: str) -> str:
    """Put a blank before each percent sign."""
    return re.sub(r"(?<=\d)%", " %", text)
