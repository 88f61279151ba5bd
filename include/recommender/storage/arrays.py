"""Read arrays and tables from untrusted local files, without pickle; a file that fails a check is refused."""

from __future__ import annotations

import math
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy

from ..errors import DataError

# The versions that `np.save` writes for arrays of plain numbers.
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
REMEDY = "Delete the artifact or version that it belongs to, and run the task that made it again."


def load_array(
    path: Path, dtype: Any, shape: tuple[int | None, ...], *, mmap_mode: Literal["r", "c"] | None = None
) -> np.ndarray[Any, Any]:
    """Read an array from a .npy file. Nothing is allocated before the header matches the size of the file.

    Parameters
    ----------
    shape : expected lengths; None is any

    Raises
    ------
    DataError
        The file is missing, is not a .npy file, or has another dtype or shape.
    """
    try:
        with path.open("rb") as file:
            _check_header(file, path, np.dtype(dtype), shape)
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {REMEDY}") from None
    # What numpy raises over a header that is no text of its own is not documented.
    except (ValueError, EOFError, SyntaxError, TokenError, MemoryError, OverflowError, TypeError) as error:
        raise DataError(f"{path}: not an array of numpy ({_line(error)}). {REMEDY}") from error
    return array


def load_finite(path: Path, dtype: Any, shape: tuple[int | None, ...]) -> np.ndarray[Any, Any]:
    """Read an array of finite numbers; see `load_array`. Raises DataError if a number is not finite."""
    array = load_array(path, dtype, shape)
    if not np.isfinite(array).all():
        raise DataError(f"{path}: holds values that are not finite. {REMEDY}")
    return array


def _check_header(file: BinaryIO, path: Path, dtype: np.dtype[Any], shape: tuple[int | None, ...]) -> None:
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format")
    found_shape, fortran, found = _HEADERS[version](file)
    if found != dtype or len(found_shape) != len(shape):
        raise DataError(f"{path}: {found} {found_shape}, expected {dtype} {_lengths(shape)}. {REMEDY}")
    if any(want is not None and want != have for want, have in zip(shape, found_shape, strict=True)):
        raise DataError(f"{path}: shape {found_shape}, expected {_lengths(shape)}. {REMEDY}")
    if fortran and len(shape) > 1:
        raise DataError(f"{path}: stored by columns, expected by rows. {REMEDY}")
    size, expected = path.stat().st_size, file.tell() + math.prod(found_shape) * dtype.itemsize
    if size != expected or min(found_shape, default=0) < 0:
        raise DataError(f"{path}: {size:,} bytes, its header of shape {found_shape} needs {expected:,}. {REMEDY}")


def _line(error: BaseException) -> str:
    """The text of an error in one line of limited length."""
    return " ".join(str(error).split())[:200]


def _lengths(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if length is None else str(length) for length in shape)})"


def check_within(path: Path, array: np.ndarray[Any, Any], low: int, high: int) -> None:
    """Raise DataError if an integer of an array is not in low <= i < high: it is used as a memory offset."""
    if len(array) and (array.min() < low or array.max() >= high):
        raise DataError(f"{path}: holds a number outside {low}..{high - 1}. {REMEDY}")


def check_offsets(path: Path, indptr: np.ndarray[Any, Any], n: int) -> None:
    """Raise DataError if the offsets of a CSR matrix do not ascend from 0 to its n entries."""
    if not len(indptr) or indptr[0] != 0 or indptr[-1] != n or (np.diff(indptr) < 0).any():
        raise DataError(f"{path}: does not describe the {n} entries beside it. {REMEDY}")


def table_size(path: Path) -> tuple[int, int]:
    """Return the rows of a Parquet table and its unpacked bytes. Raises DataError as `load_table` does."""
    try:
        about = pq.read_metadata(path)
        groups = [about.row_group(group) for group in range(about.num_row_groups)]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {REMEDY}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not a Parquet table ({error}). {REMEDY}") from error
    return about.num_rows, sum(group.total_byte_size for group in groups)


def load_table(path: Path, columns: dict[str, tuple[str, ...]]) -> pa.Table:
    """Read a Parquet table.

    Parameters
    ----------
    columns : name -> the Arrow types that it may have; other columns are not read

    Raises
    ------
    DataError
        The file is missing, is not Parquet, or a column is missing, has another type, or has nulls.
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
