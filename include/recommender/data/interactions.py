"""Coded reviews: users and items as integers, given once, so that every later cut is arithmetic on integers.

Parsing streams: rows are spilled to disk with their ids as text, then coded in a second pass. Memory grows with the
number of distinct ids (their text, and a hash table while coding), not with the size of the files.
"""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from ..config import ParseConfig
from ..errors import DataError
from .lines import read_blocks
from .reviews import BadLine, Columns, Parsed, parse_block

log = logging.getLogger(__name__)

REVIEWS, USERS, ITEMS, QUARANTINE = "reviews.parquet", "users.parquet", "items.parquet", "quarantine.jsonl.gz"
GROUP_ROWS = 1_000_000
COMPACT_ROWS = 2_000_000
PROGRESS_EVERY_S = 5.0

_SPILL = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.string()),
        ("time", pa.int64()),
        ("rating", pa.float32()),
        ("verified", pa.int8()),
    ]
)
_CODED = pa.schema(
    [
        ("user", pa.int32()),
        ("item", pa.int32()),
        ("time", pa.int64()),
        ("rating", pa.float32()),
        ("verified", pa.int8()),
    ]
)


@dataclass(frozen=True)
class Reviews:
    """All usable reviews of a snapshot, coded.

    user, item : int32, shape (n_reviews,), ranks in the sorted ids
    time : int64, shape (n_reviews,), seconds since 1970 UTC
    rating : float32, shape (n_reviews,)
    verified : int8, shape (n_reviews,): 1 verified, 0 not, -1 the layout does not say
    """

    user: np.ndarray[Any, np.dtype[np.int32]]
    item: np.ndarray[Any, np.dtype[np.int32]]
    time: np.ndarray[Any, np.dtype[np.int64]]
    rating: np.ndarray[Any, np.dtype[np.float32]]
    verified: np.ndarray[Any, np.dtype[np.int8]]

    def take(self, rows: Any) -> Reviews:
        """The reviews at an index or mask."""
        return Reviews(self.user[rows], self.item[rows], self.time[rows], self.rating[rows], self.verified[rows])

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def load(cls, directory: Path) -> Reviews:
        """Read what `parse_files` wrote."""
        table = pq.read_table(directory / REVIEWS)
        return cls(*(table.column(name).to_numpy() for name in _CODED.names))


def load_ids(path: Path) -> pa.StringArray:
    """The ids of a vocabulary; position is code."""
    return pq.read_table(path).column("id").combine_chunks()


def save_ids(path: Path, ids: pa.StringArray) -> None:
    """Write a vocabulary."""
    pq.write_table(pa.table({"id": ids}), path, compression="zstd")


class _Vocabulary:
    """Collects distinct ids; kept as Arrow text, about the ids' own bytes plus 4 each."""

    def __init__(self) -> None:
        self._parts: list[pa.Array] = []
        self._pending = 0

    def add(self, values: pa.Array) -> None:
        fresh = pc.unique(values)
        self._parts.append(fresh)
        self._pending += len(fresh)
        if self._pending > COMPACT_ROWS:
            self._parts = [self._compact()]
            self._pending = 0

    def _compact(self) -> pa.Array:
        return pc.unique(pa.concat_arrays(self._parts))

    def sorted(self) -> pa.StringArray:
        ids = self._compact()
        return ids.take(pc.sort_indices(ids))


@dataclass
class Funnel:
    """What became of every line."""

    n_lines: int = 0
    n_blank: int = 0
    n_reviews: int = 0
    n_bad: int = 0
    layouts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, parsed: Parsed) -> None:
        """Count one block."""
        self.n_lines += parsed.n_lines
        self.n_blank += parsed.n_blank
        self.n_reviews += len(parsed.columns.users)
        self.n_bad += len(parsed.bad)
        self.layouts.update(parsed.layouts)
        self.reasons.update(bad.reason for bad in parsed.bad)

    @property
    def bad_share(self) -> float:
        """Bad lines among lines that are not blank."""
        return self.n_bad / max(1, self.n_lines - self.n_blank)

    def as_counts(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "lines": self.n_lines,
            "blank": self.n_blank,
            "reviews": self.n_reviews,
            "bad": self.n_bad,
            "layouts": dict(sorted(self.layouts.items())),
            "reasons": dict(self.reasons.most_common()),
        }


def parse_files(files: Sequence[tuple[str, Path]], directory: Path, config: ParseConfig) -> dict[str, Any]:
    """Review files into coded columns below a directory; return the counts.

    Parameters
    ----------
    files : (name for messages, local path) in the order in which they are read
    directory : receives reviews.parquet, users.parquet, items.parquet and quarantine.jsonl.gz

    Raises
    ------
    DataError
        A file is truncated or corrupt, too many lines are bad, or none is usable. The quarantine is still written.
    """
    spill = directory / ".spill.arrow"
    users, items, funnel = _Vocabulary(), _Vocabulary(), Funnel()
    try:
        with (
            pa.OSFile(str(spill), "wb") as sink,
            pa.ipc.new_file(sink, _SPILL) as writer,
            (directory / QUARANTINE).open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as quarantine,
        ):
            for name, path in files:
                for parsed in _parse_file(name, path, config, funnel):
                    batch = _to_batch(parsed.columns)
                    users.add(batch.column(0))
                    items.add(batch.column(1))
                    writer.write_batch(batch)
                    _write_bad(quarantine, name, parsed.bad)
        _refuse(funnel, config, [name for name, _ in files])
        counts = funnel.as_counts()
        counts["users"], counts["items"] = _code(spill, users.sorted(), items.sorted(), directory)
        times = pc.min_max(pq.read_table(directory / REVIEWS, columns=["time"]).column("time")).as_py()
        counts |= {"first_s": times["min"], "last_s": times["max"]}
        return counts
    finally:
        spill.unlink(missing_ok=True)


def _parse_file(name: str, path: Path, config: ParseConfig, funnel: Funnel) -> Iterator[Parsed]:
    started = last = time.monotonic()
    before, n_bytes = funnel.n_lines, 0
    blocks = read_blocks(path, max_line_bytes=config.max_line_bytes, max_expansion=config.max_expansion)
    for block in blocks:
        parsed = parse_block(block)
        funnel.add(parsed)
        n_bytes += len(block.data)
        yield parsed
        if time.monotonic() - last > PROGRESS_EVERY_S:
            last = time.monotonic()
            log.info("%s: %s lines, %.0f MB of JSON so far", name, f"{funnel.n_lines - before:,}", n_bytes / 1e6)
    rate = n_bytes / 1e6 / max(1e-9, time.monotonic() - started)
    log.info("%s: %s lines, %.1f MB of JSON, %.0f MB/s", name, f"{funnel.n_lines - before:,}", n_bytes / 1e6, rate)
    if funnel.n_lines == before:
        log.warning("%s is empty", name)


def _to_batch(columns: Columns) -> pa.RecordBatch:
    values = (columns.users, columns.items, columns.times, columns.ratings, columns.verified)
    return pa.record_batch(
        [pa.array(column, row.type) for column, row in zip(values, _SPILL, strict=True)], schema=_SPILL
    )


def _write_bad(quarantine: BinaryIO | gzip.GzipFile, name: str, bad: Sequence[BadLine]) -> None:
    for row in bad:
        line = {"file": name, "line": row.line, "reason": row.reason, "excerpt": row.excerpt}
        quarantine.write(json.dumps(line).encode() + b"\n")


def _refuse(funnel: Funnel, config: ParseConfig, names: Sequence[str]) -> None:
    common = "; ".join(f"{reason} ({count:,})" for reason, count in funnel.reasons.most_common(5)) or "no lines at all"
    if funnel.n_bad and funnel.bad_share > config.max_bad_share:
        raise DataError(
            f"{', '.join(names)}: {funnel.n_bad:,} of {funnel.n_lines - funnel.n_blank:,} lines "
            f"({funnel.bad_share:.2%}) are unusable, more than max_bad_share = {config.max_bad_share:.2%}. "
            f"Commonest reasons: {common}. Mend the files, or raise max_bad_share if this is what you expect."
        )
    if not funnel.n_reviews:
        raise DataError(
            f"{', '.join(names)}: not one usable review ({common}). Expected one JSON object a line, in the 2014, 2018 "
            "or 2023 layout of the Amazon reviews."
        )


def _code(spill: Path, users: pa.StringArray, items: pa.StringArray, directory: Path) -> tuple[int, int]:
    save_ids(directory / USERS, users)
    save_ids(directory / ITEMS, items)
    # index_in hashes the whole vocabulary at each call: few, large groups.
    group_rows = max(GROUP_ROWS, len(users) // 2)
    with pa.OSFile(str(spill)) as source, pq.ParquetWriter(directory / REVIEWS, _CODED, compression="zstd") as out:
        for table in _groups(pa.ipc.open_file(source), group_rows):
            user = pc.index_in(table.column("user"), value_set=users)
            item = pc.index_in(table.column("item"), value_set=items)
            rest = [table.column(name) for name in ("time", "rating", "verified")]
            out.write_table(pa.table([user, item, *rest], schema=_CODED), row_group_size=GROUP_ROWS)
    return len(users), len(items)


def _groups(reader: pa.ipc.RecordBatchFileReader, group_rows: int) -> Iterator[pa.Table]:
    batches: list[pa.RecordBatch] = []
    for number in range(reader.num_record_batches):
        batches.append(reader.get_batch(number))
        if sum(batch.num_rows for batch in batches) >= group_rows:
            yield pa.Table.from_batches(batches)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches)
