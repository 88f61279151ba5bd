"""The columns of reviews while they are parsed and as they are stored, and how they are written."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

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
CODED = pa.schema(
    [("user", pa.int32()), ("item", pa.int32()), *[ROWS.field(name) for name in ("time", "rating", "verified")]]
)
IDS = pa.schema([("id", pa.large_string())])
GROUP_ROWS, GROUP_IDS = 250_000, 250_000


class GroupWriter:
    """Writes a Parquet file in row groups of one size: its bytes do not depend on how the rows are batched."""

    def __init__(self, path: Path, schema: pa.Schema, group_rows: int, dictionary: list[str] | bool = False) -> None:
        self._out = pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=dictionary)
        self._size, self._schema = group_rows, schema
        self._rows: list[pa.RecordBatch] = []
        self._n_rows = 0

    def __enter__(self) -> GroupWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and self._n_rows:
            self._write_group(self._n_rows)
        self._out.close()

    def write(self, rows: pa.RecordBatch) -> None:
        """Append rows."""
        self._rows.append(rows)
        self._n_rows += rows.num_rows
        while self._n_rows >= self._size:
            self._write_group(self._size)

    def _write_group(self, n_rows: int) -> None:
        table = pa.Table.from_batches(self._rows, self._schema)
        self._out.write_table(table.slice(0, n_rows).combine_chunks(), row_group_size=n_rows)
        self._rows, self._n_rows = table.slice(n_rows).to_batches(), len(table) - n_rows
