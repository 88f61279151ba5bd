"""Ids as integers: a code is the rank of an id among the sorted ids, whatever the order of the files.

Rows are coded in stretches. The distinct ids of a stretch go to disk, sorted, and its rows with the codes that they
have there. In the end the ids of all stretches are merged, and each code becomes the rank among all ids. So memory is
bounded by the size of a stretch, four bytes an id of each stretch, and the RUN_IDS ids of each that are merged at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from ..errors import DataError
from .ahead import ahead
from .columns import CODED, GROUP_IDS, GROUP_ROWS, IDS, ROWS, GroupWriter
from .distinct import ranked
from .kernels import Codes

STRETCH_BYTES = 64 << 20
# Of a run on disk, so many ids are in memory while all runs are merged.
RUN_IDS = 8192
# Codes and positions are int32, here and in the matrices.
MOST = 2**31 - 1
# Batches that are made ready while others are written.
EARLY = 2

_STRETCH = pa.schema([*CODED, ROWS.field("newer")])


@dataclass(frozen=True, kw_only=True)
class Coded:
    """How many ids there are.

    old_users, new_users : those with reviews in the layouts of 2014 and 2018, and in that of 2023
    shared_users : those with both
    """

    users: int
    items: int
    old_users: int
    new_users: int
    shared_users: int


class Coder:
    """Codes rows of the schema ROWS. A context manager: its files in `directory` are deleted at the end."""

    def __init__(self, directory: Path) -> None:
        self._paths = [directory / f".spill.{name}" for name in ("users", "items", "rows")]
        self._users, self._items = _Runs(self._paths[0]), _Runs(self._paths[1])
        self._sink = pa.OSFile(str(self._paths[2]), "wb")
        self._out = pa.ipc.new_file(self._sink, _STRETCH)
        self._rows: list[pa.RecordBatch] = []
        self._n_bytes = self._n_rows = 0
        # A stretch is coded while the next is read.
        self._pool = ThreadPoolExecutor(1, "coding")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Coder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()
        for each in (self._users, self._items, self._sink):
            each.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def write(self, rows: pa.RecordBatch) -> None:
        """Append rows.

        Raises
        ------
        DataError
            There are more than int32 counts.
        """
        self._n_rows += rows.num_rows
        if self._n_rows > MOST:
            raise DataError(f"More than {MOST:,} reviews: bring fewer files, for positions are 32-bit integers.")
        self._rows.append(rows)
        self._n_bytes += rows.nbytes
        if self._n_bytes >= STRETCH_BYTES:
            self._end_stretch()

    def _end_stretch(self) -> None:
        """Have the rows of a stretch coded, once the stretch before is."""
        self._wait()
        if self._rows:
            self._pending = self._pool.submit(self._code, self._rows)
        self._rows, self._n_bytes = [], 0

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
        self._pending = None

    def _code(self, parts: list[pa.RecordBatch]) -> None:
        """Write the rows of a stretch as one batch, and its ids as one run of each kind."""
        columns = {name: pa.concat_arrays([part.column(name) for part in parts]) for name in _STRETCH.names[2:]}
        for name, runs in (("user", self._users), ("item", self._items)):
            columns[name] = pa.array(runs.add(pa.concat_arrays([part.column(name) for part in parts])))
        self._out.write_batch(pa.record_batch([columns[name] for name in _STRETCH.names], schema=_STRETCH))

    def finish(self, users: Path, items: Path, reviews: Path) -> Coded:
        """Write the sorted ids and the coded rows as Parquet. Raises DataError if ids outnumber int32."""
        self._end_stretch()
        self._wait()
        self._out.close()
        self._sink.close()
        item_ranks_later = self._pool.submit(self._items.merge, items, "items")
        user_ranks, item_ranks = self._users.merge(users, "users"), item_ranks_later.result()
        seen = _Seen(self._users.n_ids)
        with (
            pa.OSFile(str(self._paths[2])) as source,
            GroupWriter(reviews, CODED, GROUP_ROWS, dictionary=["item", "time", "rating", "verified"]) as out,
            closing(ahead(_final(pa.ipc.open_file(source), user_ranks, item_ranks, seen), EARLY)) as parts,
        ):
            for rows in parts:
                out.write(rows)
        return Coded(
            users=self._users.n_ids,
            items=self._items.n_ids,
            old_users=int(seen.old.sum()),
            new_users=int(seen.new.sum()),
            shared_users=int((seen.old & seen.new).sum()),
        )


def _final(
    reader: pa.ipc.RecordBatchFileReader, user_ranks: list[Codes], item_ranks: list[Codes], seen: _Seen
) -> Iterator[pa.RecordBatch]:
    """The rows with their final codes, in batches of a row group."""
    for number in range(reader.num_record_batches):
        stretch = reader.get_batch(number)
        for start in range(0, stretch.num_rows, GROUP_ROWS):
            rows = stretch.slice(start, GROUP_ROWS)
            user = user_ranks[number][rows.column("user").to_numpy()]
            item = item_ranks[number][rows.column("item").to_numpy()]
            seen.add(user, rows.column("newer").to_numpy(zero_copy_only=False))
            yield pa.record_batch([user, item, *[rows.column(name) for name in CODED.names[2:]]], schema=CODED)


class _Seen:
    """Which users have reviews in the older layouts, and which in the newer: bool, shape (n_users,)."""

    def __init__(self, n_users: int) -> None:
        self.old, self.new = np.zeros(n_users, bool), np.zeros(n_users, bool)

    def add(self, user: Codes, newer: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        """Count in some rows."""
        self.new[user[newer]] = True
        self.old[user[~newer]] = True


class _Runs:
    """The sorted distinct ids of each stretch, on disk until they are merged."""

    def __init__(self, path: Path) -> None:
        self._path, self._sink = path, pa.OSFile(str(path), "wb")
        self._out = pa.ipc.new_file(self._sink, IDS)
        self._ends = [0]
        self.n_ids = 0

    def close(self) -> None:
        """Close the file."""
        self._sink.close()

    def add(self, values: pa.LargeStringArray) -> Codes:
        """Write a run of ids, which may repeat; return the position of each in the run."""
        codes, ids = ranked(values)
        for start in range(0, len(ids), RUN_IDS):
            self._out.write_batch(pa.record_batch([ids.slice(start, RUN_IDS)], schema=IDS))
        self._ends.append(self._ends[-1] + -(-len(ids) // RUN_IDS))
        return codes

    def merge(self, path: Path, what: str) -> list[Codes]:
        """Write all distinct ids, sorted; return, for each run, the ranks of its ids among them."""
        self._out.close()
        self._sink.close()
        with pa.OSFile(str(self._path)) as source, GroupWriter(path, IDS, GROUP_IDS) as out:
            reader = pa.ipc.open_file(source)
            runs = [_Run(reader, start, stop) for start, stop in zip(self._ends, self._ends[1:], strict=False)]
            with closing(ahead(self._merged(runs, what), EARLY)) as parts:
                for ids in parts:
                    out.write(pa.record_batch([ids], schema=IDS))
        return [run.ranks() for run in runs]

    def _merged(self, runs: list[_Run], what: str) -> Iterator[pa.LargeStringArray]:
        """The distinct ids of all runs, sorted, in parts."""
        while alive := [run for run in runs if run.fill()]:
            bound = min(run.last for run in alive)
            parts = [run.take(bound) for run in alive]
            codes, ids = ranked(pa.concat_arrays(parts))
            if self.n_ids + len(ids) > MOST:
                raise DataError(f"More than {MOST:,} {what}: bring fewer files, for codes are 32-bit integers.")
            ends = np.cumsum([len(part) for part in parts])
            for run, ranks in zip(alive, np.split(codes + np.int32(self.n_ids), ends[:-1]), strict=True):
                run.add(ranks)
            self.n_ids += len(ids)
            yield ids


class _Run:
    """One run while it is merged: its next ids, and the ranks of those before."""

    def __init__(self, reader: pa.ipc.RecordBatchFileReader, start: int, stop: int) -> None:
        self._reader, self._left = reader, iter(range(start, stop))
        self._ids = pa.array([], pa.large_string())
        self._ranks: list[Codes] = []

    def add(self, ranks: Codes) -> None:
        """Append the ranks of the ids that were taken last."""
        self._ranks.append(ranks)

    def ranks(self) -> Codes:
        """The ranks of all ids of the run; they are in memory once."""
        found, self._ranks = np.concatenate(self._ranks), []
        return found

    def fill(self) -> bool:
        """Whether there are more ids; reads them where none are in memory."""
        if not len(self._ids) and (number := next(self._left, None)) is not None:
            self._ids = self._reader.get_batch(number).column("id")
        return len(self._ids) > 0

    @property
    def last(self) -> str:
        """The last id in memory."""
        found: str = self._ids[-1].as_py()
        return found

    def take(self, bound: str) -> pa.LargeStringArray:
        """Remove and return the ids in memory up to `bound`. Strings compare by code point, the order of UTF-8."""
        n = bisect_right(range(len(self._ids)), bound, key=lambda at: self._ids[at].as_py())
        taken, self._ids = self._ids[:n], self._ids[n:]
        return taken
