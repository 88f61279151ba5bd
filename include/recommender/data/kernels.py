"""What the compiled loops share. They hold no interpreter lock, so threads run side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba.extending import intrinsic

from ..compiled import compiled

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Longs = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.int32]]
_Function = TypeVar("_Function", bound=Callable[..., Any])

# Both are compiled at the first call.
kernel = compiled()
inlined = compiled(inline=True)
# A function of types that returns a signature and what writes the instructions.
instruction = cast(Callable[[Callable[..., Any]], Callable[..., int]], intrinsic)
