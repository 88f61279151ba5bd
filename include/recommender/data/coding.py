"""Ids as integers: a code is the rank of an id among the sorted ids, whatever the order of the files.

Rows are spilled to disk with their ids as text and coded in a second pass. Memory grows with the number of distinct
ids (their text, and a hash table while coding), not with the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from .reviews import ROWS

GROUP_ROWS = 250_000
COMPACT_IDS = 250_000

CODED = pa.schema([("user", pa.int32()), ("item", pa.int32()), *list(ROWS)[2:]])


class Vocabulary:
    """Collects distinct ids; kept as Arrow text, about the ids' own bytes plus 4 each, at most three times."""

    def __init__(self) -> None:
        self._parts: list[pa.Array] = []
        self._pending = self._limit = 0

    def add(self, values: pa.StringArray) -> None:
        """Take over ids, with repetitions."""
        fresh = pc.unique(values)
        self._parts.append(fresh)
        self._pending += len(fresh)
        if self._pending > self._limit:
            self._compact()

    def _compact(self) -> pa.StringArray:
        known = pc.unique(pa.concat_arrays(self._parts))
        # Growing with what is known keeps the work linear in the number of ids.
        self._parts, self._pending, self._limit = [known], 0, max(COMPACT_IDS, len(known))
        return known

    def sorted(self) -> pa.StringArray:
        """All distinct ids in the order of their bytes."""
        ids = self._compact()
        return ids.take(pc.sort_indices(ids))


class Spill:
    """Rows of the schema ROWS on their way to disk, with the vocabularies of their users and items."""

    def __init__(self, writer: pa.ipc.RecordBatchFileWriter) -> None:
        self._writer = writer
        self.users, self.items = Vocabulary(), Vocabulary()

    def write(self, rows: pa.RecordBatch) -> None:
        """Append rows."""
        self.users.add(rows.column("user"))
        self.items.add(rows.column("item"))
        self._writer.write_batch(rows)


def code(spill: Path, users: pa.StringArray, items: pa.StringArray, path: Path) -> None:
    """The spilled rows as Parquet at `path`, their ids replaced by positions in the sorted vocabularies."""
    # index_in hashes the whole vocabulary at each call: where there are many ids, few and large groups.
    group_rows = max(GROUP_ROWS, 2 * (len(users) + len(items)))
    with (
        pa.OSFile(str(spill)) as source,
        pq.ParquetWriter(path, CODED, compression="zstd", use_dictionary=["item", "time", "rating", "verified"]) as out,
    ):
        for table in _groups(pa.ipc.open_file(source), group_rows):
            user = pc.index_in(table.column("user"), value_set=users)
            item = pc.index_in(table.column("item"), value_set=items)
            rest = [table.column(name) for name in CODED.names[2:]]
            out.write_table(pa.table([user, item, *rest], schema=CODED), row_group_size=len(table))


def _groups(reader: pa.ipc.RecordBatchFileReader, group_rows: int) -> Iterator[pa.Table]:
    batches: list[pa.RecordBatch] = []
    n_rows = 0
    for number in range(reader.num_record_batches):
        batches.append(reader.get_batch(number))
        n_rows += batches[-1].num_rows
        if n_rows >= group_rows:
            yield pa.Table.from_batches(batches)
            batches, n_rows = [], 0
    if batches:
        yield pa.Table.from_batches(batches)
