"""One BLAS thread: several change the order of sums, and beside other threads they are slower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_COMPUTE, _limited = Lock(), False


def limit_process() -> None:
    """One BLAS thread from now on, for a process that never wants more; then no request has to limit it."""
    global _limited
    _libraries().limit(limits=1, user_api="blas")
    _limited = True


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One BLAS thread, and one thread of Python at a time: the limit is that of the whole process."""
    with _COMPUTE, nullcontext() if _limited else _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    """The libraries of the process. To look for them reads /proc and takes 2 ms, which a short request would notice."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
