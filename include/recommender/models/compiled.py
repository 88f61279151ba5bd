"""Compile functions with numba, and keep the result on disk where that is possible.

numba keeps machine code in `__pycache__` beside the source, or in the user's cache folder, or in NUMBA_CACHE_DIR. Where
none of them can be written, each process compiles anew, which takes seconds. It compiles again when the file of the
function changes, but not when another file does: what decides a result is in that file, or is an argument.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# Sums may be taken in another order, so that they use vector instructions. NaN and infinity keep their meaning.
REORDER = {"reassoc", "contract", "nsz"}


def compiled(*signatures: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function, when it is defined for the given signatures, else when it is first called."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        options: dict[str, Any] = {"nogil": True, "fastmath": REORDER}
        given = (list(signatures),) if signatures else ()
        try:
            made = njit(*given, cache=True, **options)(function)
        except RuntimeError:  # numba found no folder that it may write
            log.info("%s is compiled for this process only: no cache folder can be written", function.__name__)
            made = njit(*given, **options)(function)
        found: Callable[P, R] = made
        return found

    return decorate
