"""Arrays and tables from local files that somebody else may have written: read without pickle, checked, or refused."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError

MAGIC = b"\x93NUMPY"
REMEDY = "Delete the artifact or version that it belongs to, and run the task that made it again."


def load_array(
    path: Path, dtype: Any, shape: tuple[int | None, ...], *, mmap_mode: Literal["r", "c"] | None = None
) -> np.ndarray[Any, Any]:
    """An array of a .npy file.

    Parameters
    ----------
    shape : expected lengths; None is any

    Raises
    ------
    DataError
        There is no such file, it is none of numpy's, or its dtype or shape is another.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:  # numpy would take a ZIP archive too
                raise ValueError("it does not begin as one")
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {REMEDY}") from None
    except (ValueError, EOFError, SyntaxError, TokenError, MemoryError, OverflowError, TypeError) as error:
        raise DataError(f"{path}: not an array of numpy ({_line(error)}). {REMEDY}") from error
    if not isinstance(array, np.ndarray) or array.dtype != dtype or not _fits(array.shape, shape):
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"{path}: {found}, expected {np.dtype(dtype)} {shape}. {REMEDY}")
    return array


def _line(error: BaseException) -> str:
    """An error's text in one line of some length."""
    return " ".join(str(error).split())[:200]


def _fits(found: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(found) == len(expected) and all(
        want is None or have == want for have, want in zip(found, expected, strict=True)
    )


def check_within(path: Path, array: np.ndarray[Any, Any], low: int, high: int) -> None:
    """Raise DataError where an integer of an array is not in low <= i < high: it would be read as a place in memory."""
    if len(array) and (array.min() < low or array.max() >= high):
        raise DataError(f"{path}: holds a number outside {low}..{high - 1}. {REMEDY}")


def check_offsets(path: Path, indptr: np.ndarray[Any, Any], n: int) -> None:
    """Raise DataError where the offsets of a CSR matrix do not ascend from 0 to its n entries."""
    if not len(indptr) or indptr[0] != 0 or indptr[-1] != n or (np.diff(indptr) < 0).any():
        raise DataError(f"{path}: does not describe the {n} entries beside it. {REMEDY}")


def table_size(path: Path) -> tuple[int, int]:
    """Rows of a Parquet table, and its bytes when unpacked. Raises DataError as `load_table` does."""
    try:
        about = pq.read_metadata(path)
        groups = [about.row_group(group) for group in range(about.num_row_groups)]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {REMEDY}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not a Parquet table ({error}). {REMEDY}") from error
    return about.num_rows, sum(group.total_byte_size for group in groups)


def load_table(path: Path, columns: dict[str, tuple[str, ...]]) -> pa.Table:
    """A Parquet table.

    Parameters
    ----------
    columns : name -> the Arrow types that it may have; other columns are not read

    Raises
    ------
    DataError
        There is no such file, it is not Parquet, or a column is missing, of another type, or has nulls.
    """
    try:
        table = pq.read_table(path, columns=list(columns))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {REMEDY}") from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a Parquet table ({_line(error)}). {REMEDY}") from error
    for name, types in columns.items():
        found = table.column(name) if name in table.column_names else None
        if found is None or str(found.type) not in types or found.null_count:
            raise DataError(
                f"{path}: the column {name} is {found.type if found is not None else 'missing'}, expected "
                f"{' or '.join(types)} without nulls. {REMEDY}"
            )
    return table
