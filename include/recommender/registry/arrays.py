"""Arrays of a bundle, read so that a damaged file is an error that names it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from ..errors import DataError

# The versions that `np.save` writes for arrays of plain numbers.
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_array(path: Path, dtype: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray[Any, Any]:
    """An array of finite numbers. Nothing is allocated before the header agrees with the size of the file.

    Parameters
    ----------
    shape : of each dimension the length, None where any will do

    Raises
    ------
    DataError
        The file is missing, is no such array, or holds values that are not finite.
    """
    try:
        with path.open("rb") as file:
            _check_header(file, path, np.dtype(dtype), shape)
        array: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path.name}: not an array file ({error})") from error
    if not np.isfinite(array).all():
        raise DataError(f"{path.name}: holds values that are not finite")
    return array


def _check_header(file: BinaryIO, path: Path, dtype: np.dtype[Any], shape: tuple[int | None, ...]) -> None:
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format")
    found_shape, fortran, found = _HEADERS[version](file)
    if found != dtype or len(found_shape) != len(shape):
        raise DataError(f"{path.name}: {found} {found_shape}, expected {dtype} {_told(shape)}")
    if any(want is not None and want != have for want, have in zip(shape, found_shape, strict=True)):
        raise DataError(f"{path.name}: shape {found_shape}, expected {_told(shape)}")
    if fortran and len(shape) > 1:
        raise DataError(f"{path.name}: stored by columns, expected by rows")
    size, expected = path.stat().st_size, file.tell() + math.prod(found_shape) * dtype.itemsize
    if size != expected or min(found_shape, default=0) < 0:
        raise DataError(f"{path.name}: {size:,} bytes, its header of shape {found_shape} needs {expected:,}")


def _told(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if length is None else str(length) for length in shape)})"
