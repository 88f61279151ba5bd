"""From review files to coded columns: read, decode and code, each in a thread of its own, in the order of the lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import ParseConfig
from ..plain_text import shown
from ..progress import Progress
from .ahead import ahead
from .codes import Coder
from .counts import ByLayout, ParseCounts
from .decoding import Parsed, parse_block
from .formats import HEAD_BYTES
from .funnel import Funnel
from .lines import Block, read_blocks
from .quality import mixed_ids
from .quarantine import Quarantine
from .reviews import ITEMS, QUARANTINE, REVIEWS, USERS
from .times import day, n_deciding, plausible_end

log = logging.getLogger(__name__)

SPILL_ROWS = 20_000
# Blocks that are read, and that are decoded, before they are used.
EARLY_BLOCKS = 2


Watch = Callable[[int], object]


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
            _read(files, config, funnel, quarantine, coder)
        funnel.check(", ".join(shown(name) for name, _ in files), config)
        coded = coder.finish(directory / USERS, directory / ITEMS, directory / REVIEWS)
    counts = funnel.counts(
        files=len(files),
        newest_s=_newest(directory / REVIEWS, funnel),
        quarantined=quarantine.n_kept,
        users=coded.users,
        items=coded.items,
        users_by_layout=ByLayout(coded.old_users, coded.new_users, coded.shared_users),
    )
    if mixed := mixed_ids(counts):
        log.warning("%s", mixed)
    return counts


def _read(
    files: Sequence[tuple[str, Path]], config: ParseConfig, funnel: Funnel, quarantine: Quarantine, coder: Coder
) -> None:
    """Pass all files through the counts, the quarantine and the coder."""
    before, sizes = 0, [path.stat().st_size if path.exists() else 0 for _, path in files]
    progress = Progress(log, "Parsing", max(1, sum(sizes)), "bytes")
    for number, (name, path) in enumerate(files, 1):
        log.info("Parsing %d of %d: %s", number, len(files), shown(name))
        watch = partial(_advance, progress, before)
        with closing(_parse_file(shown(name), path, config, funnel, watch)) as parts:
            for rows in _gather(_keep_bad(parts, name, quarantine)):
                funnel.add_values(rows)
                coder.write(rows)
        before += sizes[number - 1]


def _advance(progress: Progress, before: int, position: int) -> None:
    progress.at(before + position)


def _newest(path: Path, funnel: Funnel) -> int:
    """Return the time of the newest review without outliers, and log these; there must be one review."""
    n = funnel.n_reviews
    times = _times_since(path, funnel.days.since(n_deciding(n)))
    end = plausible_end(times, n)
    odd = times[times >= end]
    if len(odd):
        share, span = f"{len(odd):,} of {n:,}", f"{day(odd.min())} to {day(odd.max())}"
        log.warning(
            "%s reviews are dated %s, far behind all others, which end on %s: they are left out of training and "
            "judging. Look at the clocks or units of their source.",
            share,
            span,
            day(end - 1),
        )
    return end - 1


def _times_since(path: Path, since_s: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The times of the reviews from an instant on: int64 seconds. A row group at a time is in memory."""
    with pq.ParquetFile(path) as file:
        groups = (file.read_row_group(number, ["time"])["time"].to_numpy() for number in range(file.num_row_groups))
        return np.concatenate([times[times >= since_s] for times in groups])


def _parse_file(name: str, path: Path, config: ParseConfig, total: Funnel, watch: Watch) -> Generator[Parsed]:
    """The decoded blocks of a file; its lines are counted in `total` when all of them are good enough."""
    started = time.monotonic()
    funnel, n_bytes, head = Funnel(), 0, b""
    blocks = read_blocks(
        path, max_line_bytes=config.max_line_bytes, max_expansion=config.max_expansion, name=name, watch=watch
    )
    with closing(ahead(_decoded(ahead(blocks, EARLY_BLOCKS)), EARLY_BLOCKS)) as parts:
        for block, parsed in parts:
            funnel.add_lines(parsed, name)
            yield parsed
            n_bytes += len(block.data)
            head = head or bytes(block.data[:HEAD_BYTES])
    total.add(funnel)
    rate = n_bytes / 1e6 / max(1e-9, time.monotonic() - started)
    log.info("%s: %s lines, %.1f MB of JSON, %.0f MB/s", name, f"{funnel.n_lines:,}", n_bytes / 1e6, rate)
    if not funnel.n_filled:
        log.warning("%s is empty: it holds no line that is not blank", name)
    funnel.check_file(name, head)


def _decoded(blocks: Generator[Block]) -> Iterator[tuple[Block, Parsed]]:
    with closing(blocks):
        for block in blocks:
            yield block, parse_block(block)


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
