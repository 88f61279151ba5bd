"""Decode blocks of review lines into columns, and collect the bad lines.

Regular lines are found and read in a compiled loop, all others one by one. `layouts.parse_line` defines what a line
means; `scanning` reads only lines where that is certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from .columns import ROWS
from .kernels import Bytes, Longs
from .layouts import BOM, UNKNOWN, parse_line
from .lines import Block
from .numerals import Unusable
from .scanning import Scanned, scan

EXCERPT_CHARS = 200
# `from_pylist` would import pandas, a third of a second in every task and command.
_NO_ROWS = pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in ROWS.types], schema=ROWS)


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


def parse_block(block: Block) -> Parsed:
    """Decode the lines of a block; rows and bad lines are in the order of the lines."""
    if block.too_long:
        return Parsed(rows=_NO_ROWS, n_lines=1, bad=[_bad(block.first_line, "line too long", bytes(block.data))])
    found = scan(block.data, len(block))
    regular = _regular(found)
    others = np.flatnonzero(~found.regular)
    if not len(others):
        return regular
    parsed, kept = _one_by_one(_lines(block, found, others))
    numbers = np.concatenate([np.flatnonzero(found.regular) + block.first_line, np.array(kept, np.int64)])
    parsed.rows = pa.concat_batches([regular.rows, parsed.rows]).take(np.argsort(numbers))
    parsed.layouts.update(regular.layouts)
    parsed.n_lines += regular.n_lines
    return parsed


def parse_each(block: Block) -> Parsed:
    """Decode all lines one by one: the same as `parse_block`, slowly."""
    return _one_by_one(block.lines())[0]


def _regular(found: Scanned) -> Parsed:
    """The regular lines of a block, in order."""
    n, newer = len(found.newer), int(np.count_nonzero(found.newer))
    unknown = int(np.count_nonzero((found.verified == UNKNOWN) & ~found.newer))
    arrays = [_ids(*found.users), _ids(*found.items)]
    arrays += [pa.array(column) for column in (found.times, found.ratings, found.verified, found.newer)]
    layouts = Counter({"2014": unknown, "2018": n - newer - unknown, "2023": newer})
    return Parsed(rows=pa.RecordBatch.from_arrays(arrays, schema=ROWS), n_lines=n, layouts=+layouts)


def _ids(offsets: Longs, text: Bytes) -> pa.LargeStringArray:
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(text))


def _lines(block: Block, found: Scanned, rows: Any) -> Iterator[tuple[int, bytes]]:
    """Number and content of some lines, without their line feeds."""
    for row, begin, end in zip(
        rows.tolist(), found.begins[rows].tolist(), found.begins[rows + 1].tolist(), strict=True
    ):
        yield block.first_line + row, bytes(block.data[begin : end - 1])


def _one_by_one(lines: Iterator[tuple[int, bytes]]) -> tuple[Parsed, list[int]]:
    """Decode numbered lines; the second value has the numbers of the rows."""
    kept, numbers, bad, n_blank = [], [], [], 0
    for number, line in lines:
        text = line.removeprefix(BOM)
        if not text.strip():
            n_blank += 1
            continue
        try:
            kept.append(parse_line(text))
            numbers.append(number)
        except Unusable as reason:
            bad.append(_bad(number, str(reason), line))
    layouts = Counter(review.layout for review in kept)
    columns: list[Any] = list(zip(*kept, strict=True))[1:] if kept else [()] * (len(ROWS) - 1)
    columns.append([review.layout == "2023" for review in kept])
    arrays = [pa.array(column, row.type) for column, row in zip(columns, ROWS, strict=True)]
    rows = pa.record_batch(arrays, schema=ROWS)
    n_lines = len(kept) + len(bad) + n_blank
    return Parsed(rows=rows, n_lines=n_lines, n_blank=n_blank, bad=bad, layouts=layouts), numbers


def _bad(number: int, reason: str, line: bytes) -> BadLine:
    return BadLine(number, reason, line.decode("utf-8", "replace")[:EXCERPT_CHARS])
