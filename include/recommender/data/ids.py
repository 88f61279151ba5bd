"""Joining by id: models and folds meet by users' and items' ids, never by row numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def rows_of(ids: pa.LargeStringArray, known: pa.LargeStringArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Position of each id in `known`, int64, shape (len(ids),); -1 where it is not there."""
    large = pa.large_string()
    found: np.ndarray[Any, np.dtype[np.int64]] = (
        pc.fill_null(pc.index_in(ids.cast(large), value_set=known.cast(large)), -1)
        .to_numpy(zero_copy_only=False)
        .astype(np.int64)
    )
    return found
