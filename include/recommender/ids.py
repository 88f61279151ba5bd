"""Vocabularies: the ids of users or items. Models and folds meet by ids, never by row numbers."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Positions = np.ndarray[Any, np.dtype[np.integer[Any]]]
# A binary search of one id costs about as much as hashing so many ids of a vocabulary.
_FEW = 100


class Vocabulary:
    """Ids in ascending order, each once. The position of an id is its row.

    One id is found by binary search, so a look-up does not depend on the size of the vocabulary. Text is compared as
    UTF-8, which orders as code points do.

    Parameters
    ----------
    ids : text, shape (n,), ascending and unique; see `Vocabulary.checked` for ids of unknown origin
    """

    def __init__(self, ids: pa.Array) -> None:
        self.ids: pa.LargeStringArray = ids.cast(pa.large_string())

    @classmethod
    def checked(cls, ids: pa.Array) -> Vocabulary:
        """A vocabulary of ids of unknown origin. Raises ValueError where they are not text, ascending, each once."""
        if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)) or ids.null_count:
            raise ValueError(f"{ids.type} with {ids.null_count} nulls, expected text")
        if not pc.all(pc.less(ids[:-1], ids[1:]), min_count=0).as_py():
            raise ValueError(f"the {len(ids):,} ids are not in ascending order, each once")
        return cls(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def find(self, name: str) -> int | None:
        """The row of an id, or None."""
        if not _is_text(name):
            return None
        wanted, n = name.encode(), len(self.ids)
        row = bisect_left(range(n), wanted, key=self._encoded)
        return row if row < n and self._encoded(row) == wanted else None

    @cached_property
    def _encoded(self) -> Callable[[int], bytes]:
        """The UTF-8 of a row, without an object of Arrow for each: a look-up reads about twenty."""
        _, offsets, data = self.ids.buffers()
        if data is None or offsets is None:
            return lambda _row: b""
        starts, text, first = memoryview(offsets).cast("q"), memoryview(data), self.ids.offset
        return lambda row: bytes(text[starts[first + row] : starts[first + row + 1]])

    def rows(self, names: pa.Array | Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The row of each id, int64, shape (len(names),); -1 where it is not there."""
        if len(names) * _FEW < len(self):
            places = (self.find(name) for name in (names.to_pylist() if isinstance(names, pa.Array) else names))
            return np.fromiter((-1 if row is None else row for row in places), np.int64, len(names))
        texts = names if isinstance(names, pa.Array) else pa.array([name if _is_text(name) else None for name in names])
        wanted = texts.cast(pa.large_string())
        found = pc.fill_null(pc.index_in(wanted, value_set=self.ids), -1)
        return found.to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]

    def names(self, rows: Positions) -> list[str]:
        """The ids of some rows."""
        found: list[str] = self.ids.take(pa.array(rows)).to_pylist()
        return found

    def take(self, rows: Positions) -> Vocabulary:
        """The vocabulary of some rows, which ascend."""
        return Vocabulary(self.ids.take(pa.array(rows)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the ids, 64 hexadecimal digits: equal where the ids are, however they are stored."""
        found = hashlib.sha256()
        found.update(pc.binary_length(self.ids).cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())
        for start in range(0, len(self.ids), 1 << 20):
            found.update("".join(self.ids[start : start + (1 << 20)].to_pylist()).encode())
        return found.hexdigest()


def _is_text(name: str) -> bool:
    """Whether UTF-8 can write it: half of a surrogate pair is no text, and no id."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
