"""Decode blocks of review lines into columns, and collect the bad lines.

Regular lines are decoded many at once. `layouts.parse_line` defines what a line means. The fast path must agree with it
in every value; where that is not certain, the line is irregular. A block with an irregular line is divided until the
irregular lines are almost alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from .layouts import BOM, MAX_ID_BYTES, UNKNOWN, UNVERIFIED, VERIFIED, parse_line
from .lines import Block
from .numerals import EARLIEST_S, LATEST_S, MAX_RATING, Unusable

__all__ = ["ROWS", "UNKNOWN", "UNVERIFIED", "VERIFIED", "BadLine", "Parsed", "parse_block"]

ROWS = pa.schema(
    [
        # Large: the offsets of plain strings end at 2 GiB.
        ("user", pa.large_string()),
        ("item", pa.large_string()),
        ("time", pa.int64()),
        ("rating", pa.float32()),
        ("verified", pa.int8()),
        # Whether the layout is that of 2023, whose user ids are others.
        ("newer", pa.bool_()),
    ]
)
# `from_pylist` would import pandas, a third of a second in every task and command.
_NO_ROWS = pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in ROWS.types], schema=ROWS)
EXCERPT_CHARS = 200
# Measured: the cheapest over blocks with one irregular line in 400, in 100 and in 16.
FAN_OUT, FEW_LINES = 4, 64

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]
_Rating = Annotated[float, Meta(ge=0, le=MAX_RATING)]
# No value fulfils it: its presence makes a line irregular.
_Foreign = Annotated[int, Meta(gt=0, lt=0)]
# Defaults are not validated: -1 stands for an absent field, and a null is irregular.
_UNSAID = cast(bool, UNKNOWN)


class _Old(msgspec.Struct, gc=False):
    """A regular line of 2014 or 2018."""

    reviewerID: _Id  # noqa: N815 (the field's name in the files)
    asin: _Id
    overall: _Rating
    unixReviewTime: Annotated[int, Meta(ge=EARLIEST_S, lt=LATEST_S)]  # noqa: N815
    verified: bool = _UNSAID
    user_id: _Foreign = 0
    parent_asin: _Foreign = 0


class _New(msgspec.Struct, gc=False):
    """A regular line of 2023."""

    user_id: _Id
    parent_asin: _Id
    rating: _Rating
    timestamp: Annotated[int, Meta(ge=EARLIEST_S * 1000, lt=LATEST_S * 1000)]
    verified_purchase: bool = _UNSAID
    reviewerID: _Foreign = 0  # noqa: N815


_decode_old = msgspec.json.Decoder(_Old).decode_lines
_decode_new = msgspec.json.Decoder(_New).decode_lines


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used: its number, the reason, and its first characters."""

    line: int
    reason: str
    excerpt: str


@dataclass(slots=True, kw_only=True)
class Parsed:
    """The result for successive lines: n_lines = len(rows) + len(bad) + n_blank. `rows` has the schema ROWS."""

    rows: pa.RecordBatch
    n_lines: int
    n_blank: int = 0
    bad: list[BadLine] = field(default_factory=list)
    layouts: Counter[str] = field(default_factory=Counter)


def parse_block(block: Block) -> Iterator[Parsed]:
    """Yield the lines of a block, in order, in one or more parts."""
    if block.too_long:
        yield Parsed(rows=_NO_ROWS, n_lines=1, bad=[_bad(block.first_line, "line too long", block.data)])
    elif (regular := parse_regular(block)) is not None:
        yield regular
    elif len(block) <= FEW_LINES:
        yield parse_each(block)
    else:
        step = max(FEW_LINES, -(-len(block) // FAN_OUT))
        for start in range(0, len(block), step):
            yield from parse_block(block.part(start, start + step))


def parse_regular(block: Block) -> Parsed | None:
    """Decode all lines in one call; return None if a line may not mean the same to `parse_line`."""
    if not _one_object_a_line(block) or not _is_utf8(block.data):
        return None
    newer = b'"parent_asin"' in block.data[: int(block.ends[0])]
    try:
        columns = _columns_new(_decode_new(block.data)) if newer else _columns_old(_decode_old(block.data))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    users, items, _, _, verified = columns
    if len(verified) != len(block) or not (_is_plain(users) and _is_plain(items)):
        return None
    n_unknown = int(np.count_nonzero(verified == UNKNOWN))
    layouts = Counter({"2023": len(block)} if newer else {"2014": n_unknown, "2018": len(block) - n_unknown})
    rows = pa.record_batch([*columns, np.full(len(block), newer)], schema=ROWS)
    return Parsed(rows=rows, n_lines=len(block), layouts=+layouts)


def _one_object_a_line(block: Block) -> bool:
    """Whether `}` ends and `{` begins each line.

    Inside a JSON value `}`, line feed, `{` cannot follow each other, so every line holds one value or more.
    """
    if not block.data.startswith(b"{"):
        return False
    text = np.frombuffer(block.data, np.uint8)
    last = text[block.ends - 1]
    last = np.where(last == ord("\r"), text[block.ends - 2], last)
    first = text[block.ends[:-1] + 1]
    return bool((last == ord("}")).all() and (first == ord("{")).all())


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_plain(ids: pa.LargeStringArray) -> bool:
    """Whether all characters are visible ASCII."""
    text = np.frombuffer(ids.buffers()[2], np.uint8)
    return bool(text.min() > 0x20 and text.max() < 0x7F)


def _columns_old(rows: list[_Old]) -> list[Any]:
    return [
        pa.array([row.reviewerID for row in rows], pa.large_string()),
        pa.array([row.asin for row in rows], pa.large_string()),
        np.array([row.unixReviewTime for row in rows], np.int64),
        np.array([row.overall for row in rows], np.float32) + np.float32(0),  # no -0.0
        np.fromiter([row.verified for row in rows], np.int8, len(rows)),
    ]


def _columns_new(rows: list[_New]) -> list[Any]:
    return [
        pa.array([row.user_id for row in rows], pa.large_string()),
        pa.array([row.parent_asin for row in rows], pa.large_string()),
        np.array([row.timestamp for row in rows], np.int64) // 1000,
        np.array([row.rating for row in rows], np.float32) + np.float32(0),  # no -0.0
        np.fromiter([row.verified_purchase for row in rows], np.int8, len(rows)),
    ]


def _bad(number: int, reason: str, line: bytes) -> BadLine:
    return BadLine(number, reason, line.decode("utf-8", "replace")[:EXCERPT_CHARS])


def parse_each(block: Block) -> Parsed:
    """Decode line by line."""
    kept, bad, n_blank = [], [], 0
    for number, line in block.lines():
        text = line.removeprefix(BOM)
        if not text.strip():
            n_blank += 1
            continue
        try:
            kept.append(parse_line(text))
        except Unusable as reason:
            bad.append(_bad(number, str(reason), line))
    layouts = Counter(review.layout for review in kept)
    columns: list[Any] = list(zip(*kept, strict=True))[1:] if kept else [()] * (len(ROWS) - 1)
    columns.append([review.layout == "2023" for review in kept])
    rows = [pa.array(column, row.type) for column, row in zip(columns, ROWS, strict=True)]
    return Parsed(
        rows=pa.record_batch(rows, schema=ROWS), n_lines=len(block), n_blank=n_blank, bad=bad, layouts=layouts
    )
