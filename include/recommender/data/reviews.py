"""Review lines of the three official layouts into columns, the bad ones into quarantine.

2014: reviewerID, asin, overall, unixReviewTime. 2018 adds verified. 2023: user_id, parent_asin, rating, timestamp
(milliseconds), verified_purchase. A layout is recognised by a line's fields, so files may mix them.

A block is decoded at once where all its lines are regular; otherwise line by line, which is lenient and explains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .lines import Block

UNKNOWN, UNVERIFIED, VERIFIED = -1, 0, 1

# Amazon was founded in 1994; nothing can have been reviewed before, and 2100 is a unit mistaken.
EARLIEST_S, LATEST_S = 757_382_400, 4_102_444_800
EXCERPT_CHARS = 200


class _Old(msgspec.Struct):
    """2014 and 2018."""

    reviewerID: str  # noqa: N815 (the field's name in the files)
    asin: str
    overall: float
    unixReviewTime: int  # noqa: N815
    verified: bool | None = None


class _New(msgspec.Struct):
    """2023."""

    user_id: str
    parent_asin: str
    rating: float
    timestamp: int
    verified_purchase: bool | None = None


@dataclass(slots=True)
class Columns:
    """Parsed reviews of one block, column by column."""

    users: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    ratings: list[float] = field(default_factory=list)
    verified: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used: where it stands, why, and how it begins."""

    line: int
    reason: str
    excerpt: str


@dataclass(slots=True)
class Parsed:
    """One block's outcome: n_lines = len(columns.users) + len(bad) + n_blank."""

    columns: Columns
    bad: list[BadLine]
    n_lines: int
    n_blank: int
    layouts: Counter[str]


_decode_old = msgspec.json.Decoder(_Old).decode_lines
_decode_new = msgspec.json.Decoder(_New).decode_lines
_decode_any = msgspec.json.Decoder().decode


class Unusable(ValueError):
    """A line that cannot become an interaction; the text is the reason, the same for all lines like it."""


def parse_block(block: Block) -> Parsed:
    """All lines of a block."""
    if block.too_long:
        text = block.data.decode("utf-8", "replace")[:EXCERPT_CHARS]
        return Parsed(Columns(), [BadLine(block.first_line, "line too long", text)], 1, 0, Counter())
    return _parse_regular(block) or _parse_each(block)


def _parse_regular(block: Block) -> Parsed | None:
    """The whole block in one call, or None if any of its lines is irregular."""
    newer = b'"parent_asin"' in block.data[:65_536]
    try:
        columns = _columns_new(_decode_new(block.data)) if newer else _columns_old(_decode_old(block.data))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    n_lines = block.data.count(b"\n")
    times = columns.times
    if len(times) != n_lines or min(times) < EARLIEST_S or max(times) >= LATEST_S:
        return None
    if not all(columns.users) or not all(columns.items) or min(columns.ratings) < 0 or max(columns.ratings) > 5:
        return None
    n_unknown = columns.verified.count(UNKNOWN)
    layouts = Counter({"2023": n_lines} if newer else {"2014": n_unknown, "2018": n_lines - n_unknown})
    return Parsed(columns, [], n_lines, 0, +layouts)


def _columns_old(rows: list[_Old]) -> Columns:
    return Columns(
        [row.reviewerID for row in rows],
        [row.asin for row in rows],
        [row.unixReviewTime for row in rows],
        [row.overall for row in rows],
        [UNKNOWN if row.verified is None else +row.verified for row in rows],
    )


def _columns_new(rows: list[_New]) -> Columns:
    return Columns(
        [row.user_id for row in rows],
        [row.parent_asin for row in rows],
        [row.timestamp // 1000 for row in rows],
        [row.rating for row in rows],
        [UNKNOWN if row.verified_purchase is None else +row.verified_purchase for row in rows],
    )


def _parse_each(block: Block) -> Parsed:
    parsed = Parsed(Columns(), [], 0, 0, Counter())
    columns = parsed.columns
    for number, line in _numbered(block):
        parsed.n_lines += 1
        if not line.strip():
            parsed.n_blank += 1
            continue
        try:
            layout, user, item, time, rating, verified = _parse_line(line)
        except Unusable as reason:
            parsed.bad.append(BadLine(number, str(reason), line.decode("utf-8", "replace")[:EXCERPT_CHARS]))
            continue
        parsed.layouts[layout] += 1
        columns.users.append(user)
        columns.items.append(item)
        columns.times.append(time)
        columns.ratings.append(rating)
        columns.verified.append(verified)
    return parsed


def _numbered(block: Block) -> Iterator[tuple[int, bytes]]:
    lines = block.data.split(b"\n")
    return enumerate(lines[:-1] if block.data.endswith(b"\n") else lines, block.first_line)


def _parse_line(line: bytes) -> tuple[str, str, str, int, float, int]:
    try:
        row = _decode_any(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unusable("not JSON") from None
    if not isinstance(row, dict):
        raise Unusable("not a JSON object")
    if "user_id" in row or "parent_asin" in row:
        return (
            "2023",
            _identifier(row, "user_id"),
            _identifier(row, "parent_asin"),
            _seconds(row, "timestamp"),
            _rating(row, "rating"),
            _verified(row, "verified_purchase"),
        )
    if "reviewerID" not in row and "asin" not in row:
        raise Unusable("no known layout: neither reviewerID/asin nor user_id/parent_asin")
    return (
        "2018" if "verified" in row else "2014",
        _identifier(row, "reviewerID"),
        _identifier(row, "asin"),
        _seconds(row, "unixReviewTime"),
        _rating(row, "overall"),
        _verified(row, "verified"),
    )


def _present(row: dict[str, Any], name: str) -> Any:
    value = row.get(name)
    if value is None or value == "":
        raise Unusable(f"{name} is missing or null")
    return value


def _identifier(row: dict[str, Any], name: str) -> str:
    value = _present(row, name)
    # A number has lost its leading zeros already, and would silently become another id.
    if not isinstance(value, str):
        raise Unusable(f"{name} is not a string")
    return value


def _number(row: dict[str, Any], name: str) -> float:
    value = _present(row, name)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unusable(f"{name} is not a number")
    try:
        return float(value)
    except ValueError:
        raise Unusable(f"{name} is not a number") from None


def _seconds(row: dict[str, Any], name: str) -> int:
    value = _number(row, name)
    if value >= EARLIEST_S * 1000:
        value //= 1000
    if not EARLIEST_S <= value < LATEST_S:
        raise Unusable(f"{name} is not a time between 1994 and 2100 in seconds or milliseconds")
    return int(value)


def _rating(row: dict[str, Any], name: str) -> float:
    value = _number(row, name)
    if not 0 <= value <= 5:
        raise Unusable(f"{name} is not between 0 and 5")
    return value


def _verified(row: dict[str, Any], name: str) -> int:
    value = row.get(name)
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return int(value.lower() == "true")
    raise Unusable(f"{name} is not true or false")
