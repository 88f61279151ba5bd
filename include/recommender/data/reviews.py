"""Coded reviews: users and items are integers, assigned once, so that every later split is integer arithmetic."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..config import ParseConfig
from ..ids import Vocabulary
from ..models.memory import require_memory
from ..plain_text import shown
from ..storage.arrays import check_within, load_table, table_size
from .codes import CODED, GROUP_IDS, IDS, Coder, GroupWriter
from .counts import ByLayout, ParseCounts
from .decoding import Parsed, parse_block
from .formats import HEAD_BYTES
from .funnel import Funnel
from .lines import read_blocks
from .quality import mixed_ids
from .quarantine import Quarantine
from .times import day, plausible_end

log = logging.getLogger(__name__)

REVIEWS, USERS, ITEMS, QUARANTINE = "reviews.parquet", "users.parquet", "items.parquet", "quarantine.jsonl.gz"
SPILL_ROWS = 20_000
PROGRESS_EVERY_S = 5.0
# As they are read, in one piece, and what is then taken of them.
IDS_COPIES = 3


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """All usable reviews of a snapshot, coded.

    user, item : int32, shape (n_reviews,), ranks in the sorted ids
    time : int64, shape (n_reviews,), seconds since 1970 UTC
    rating : float32, shape (n_reviews,)
    verified : int8, shape (n_reviews,): 1 verified, 0 not, -1 not known
    """

    user: np.ndarray[Any, np.dtype[np.int32]]
    item: np.ndarray[Any, np.dtype[np.int32]]
    time: np.ndarray[Any, np.dtype[np.int64]]
    rating: np.ndarray[Any, np.dtype[np.float32]]
    verified: np.ndarray[Any, np.dtype[np.int8]]

    def take(self, rows: Any) -> Reviews:
        """The reviews at an index or mask."""
        return Reviews(
            user=self.user[rows],
            item=self.item[rows],
            time=self.time[rows],
            rating=self.rating[rows],
            verified=self.verified[rows],
        )

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def load(cls, directory: Path) -> Reviews:
        """Read the output of `parse_files`, without its ids. One column after another: Arrow's copy of each is freed.

        Raises
        ------
        DataError
            The file is missing or damaged, or a code cannot be the rank of an id.
        """
        path = directory / REVIEWS
        found = cls(**{field.name: _column(path, field) for field in CODED})
        pa.default_memory_pool().release_unused()
        for codes in (found.user, found.item):
            # Each id occurs, so there are no more ids than rows.
            check_within(path, codes, 0, len(codes))
        return found


def _column(path: Path, field: pa.Field) -> np.ndarray[Any, Any]:
    column = load_table(path, {field.name: (str(field.type),)}).column(field.name)
    values: np.ndarray[Any, Any] = np.empty(len(column), field.type.to_pandas_dtype())
    start = 0
    for chunk in column.chunks:
        values[start : start + len(chunk)] = chunk.to_numpy()
        start += len(chunk)
    return values


def load_times(directory: Path) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Read only the times of the output of `parse_files`: int64 seconds, shape (n_reviews,)."""
    return _column(directory / REVIEWS, CODED.field("time"))


def load_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of a file; position is code.

    Raises
    ------
    ConfigError
        They do not fit into the free memory.
    DataError
        The file is missing, or holds no vocabulary.
    """
    n_ids, size = table_size(path)
    require_memory(
        IDS_COPIES * size,
        f"{path.name}: {n_ids:,} ids of {size / max(1, n_ids):.0f} bytes",
        "Shorten the ids, or use a larger machine.",
    )
    return Vocabulary(load_table(path, {"id": ("large_string",)}).column("id").combine_chunks())


def save_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write a vocabulary."""
    with GroupWriter(path, IDS, GROUP_IDS) as out:
        out.write(pa.record_batch([vocabulary.ids], schema=IDS))


def parse_files(files: Sequence[tuple[str, Path]], directory: Path, config: ParseConfig) -> ParseCounts:
    """Parse review files into coded columns below a directory; return the counts.

    Parameters
    ----------
    files : (name for messages, local path), read in the order of their names
    directory : receives reviews.parquet, users.parquet, items.parquet and quarantine.jsonl.gz

    Raises
    ------
    DataError
        A file is truncated, corrupt or of another format, too many lines are bad, or a file with lines has no usable
        one. The quarantine is still written.
    """
    funnel, files = Funnel(), sorted(files)
    with Coder(directory) as coder:
        with (
            # Arrow's own zlib: that of the system differs from machine to machine in its bytes.
            pa.OSFile(str(directory / QUARANTINE), "wb") as raw,
            pa.CompressedOutputStream(raw, "gzip") as packed,
        ):
            quarantine = Quarantine(packed)
            for number, (name, path) in enumerate(files, 1):
                log.info("Parsing %d of %d: %s", number, len(files), shown(name))
                parts = _parse_file(shown(name), path, config, funnel)
                for rows in _gather(_keep_bad(parts, name, quarantine)):
                    funnel.add_values(rows)
                    coder.write(rows)
        funnel.check(", ".join(shown(name) for name, _ in files), config)
        coded = coder.finish(directory / USERS, directory / ITEMS, directory / REVIEWS)
    counts = funnel.counts(
        files=len(files),
        newest_s=_newest(load_times(directory)),
        quarantined=quarantine.n_kept,
        users=coded.users,
        items=coded.items,
        users_by_layout=ByLayout(coded.old_users, coded.new_users, coded.shared_users),
    )
    if mixed := mixed_ids(counts):
        log.warning("%s", mixed)
    return counts


def _newest(times: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """Return the time of the newest review without outliers, and log these; there must be one review."""
    end = plausible_end(times)
    odd = times[times >= end]
    if len(odd):
        share, span = f"{len(odd):,} of {len(times):,}", f"{day(odd.min())} to {day(odd.max())}"
        log.warning(
            "%s reviews are dated %s, far behind all others, which end on %s: they are left out of training and "
            "judging. Look at the clocks or units of their source.",
            share,
            span,
            day(end - 1),
        )
    return end - 1


def _parse_file(name: str, path: Path, config: ParseConfig, total: Funnel) -> Iterator[Parsed]:
    started = last = time.monotonic()
    funnel, n_bytes, head = Funnel(), 0, b""
    blocks = read_blocks(path, max_line_bytes=config.max_line_bytes, max_expansion=config.max_expansion, name=name)
    for block in blocks:
        for parsed in parse_block(block):
            funnel.add_lines(parsed, name)
            yield parsed
        n_bytes += len(block.data)
        head = head or block.data[:HEAD_BYTES]
        if time.monotonic() - last > PROGRESS_EVERY_S:
            last = time.monotonic()
            log.info("%s: %s lines, %.0f MB of JSON so far", name, f"{funnel.n_lines:,}", n_bytes / 1e6)
    total.add(funnel)
    rate = n_bytes / 1e6 / max(1e-9, time.monotonic() - started)
    log.info("%s: %s lines, %.1f MB of JSON, %.0f MB/s", name, f"{funnel.n_lines:,}", n_bytes / 1e6, rate)
    if not funnel.n_filled:
        log.warning("%s is empty: it holds no line that is not blank", name)
    funnel.check_file(name, head)


def _keep_bad(parts: Iterator[Parsed], name: str, quarantine: Quarantine) -> Iterator[pa.RecordBatch]:
    for parsed in parts:
        for bad in parsed.bad:
            quarantine.add(name, bad)
        yield parsed.rows


def _gather(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in larger batches: each batch costs a sort and a header on disk."""
    rows: list[pa.RecordBatch] = []
    n_rows = 0
    for part in parts:
        if part.num_rows:
            rows.append(part)
            n_rows += part.num_rows
        if n_rows >= SPILL_ROWS:
            yield pa.concat_batches(rows)
            rows, n_rows = [], 0
    if rows:
        yield pa.concat_batches(rows)
