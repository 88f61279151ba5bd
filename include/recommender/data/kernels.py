"""What the compiled loops share. They hold no interpreter lock, so threads run side by side.

A loop and all that it calls stand in one module: the cache of compiled code knows only the file of the outermost one,
and would not notice a change in another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numba.extending import intrinsic

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Longs = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.int32]]
_Function = TypeVar("_Function", bound=Callable[..., Any])

# Compiled at the first call, and from then on read from a cache beside the source.
kernel = cast(Callable[[_Function], _Function], njit(nogil=True, cache=True))
inlined = cast(Callable[[_Function], _Function], njit(nogil=True, cache=True, inline="always"))
# A function of types that returns a signature and what writes the instructions.
instruction = cast(Callable[[Callable[..., Any]], Callable[..., int]], intrinsic)
