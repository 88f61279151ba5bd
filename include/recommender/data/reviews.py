"""Coded reviews: users and items are integers, assigned once, so that every later split is integer arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..ids import Vocabulary
from ..models.memory import require_memory
from ..storage.arrays import check_within, load_table, table_size
from .columns import CODED, GROUP_IDS, IDS, GroupWriter

REVIEWS, USERS, ITEMS, QUARANTINE = "reviews.parquet", "users.parquet", "items.parquet", "quarantine.jsonl.gz"
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
