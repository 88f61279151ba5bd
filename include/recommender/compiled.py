"""Compile functions with numba, and keep the machine code on disk where that is safe.

numba reads kept code again while the file of the function is the same. But a function also holds what it took from
other files: constants, and functions that it calls. So the code is kept in a folder named by a digest of all files that
may matter. It lies beside the source, or in the user's cache folder, or below NUMBA_CACHE_DIR where that is set. Where
none can be written, each process compiles anew, which takes half a minute.

What is kept is machine code, so the folder belongs to the user alone: whoever can write there can run code.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import config, njit

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

HERE = Path(__file__).parent
# The files that compiled functions are in, or take something from.
SOURCES = ("compiled.py", "prefetch.py", "data/**/*.py", "models/**/*.py")
# Code of other versions is deleted after so many days without use.
KEPT_DAYS = 7
# Sums may be taken in another order, so that they use vector instructions. NaN and infinity keep their meaning.
REORDER = {"reassoc", "contract", "nsz"}


def compiled(
    *signatures: Any, reorder: bool = False, inline: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function, when it is defined for the given signatures, else when it is first called.

    Parameters
    ----------
    reorder : sums of floats may be taken in any order
    inline : copy the function into its callers
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": REORDER if reorder else False}
    if inline:
        options["inline"] = "always"

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        given = (list(signatures),) if signatures else ()
        made: Callable[P, R] = njit(*given, cache=cache_folder() is not None, **options)(function)
        return made

    return decorate


@cache
def cache_folder() -> Path | None:
    """The folder of this code, for numba and for the caller; None if no folder can be written."""
    name = f"numba-{_digest()}"
    for folder in _folders():
        is_new = not (folder / name).exists()
        if _is_usable(folder / name):
            if is_new:
                log.info("Compiling the loops of this version of the code when they are used: half a minute, once")
            config.CACHE_DIR = str(folder / name)
            _forget_others(folder, name)
            return folder / name
    log.info("The compiled loops are not kept, since no cache folder can be written: each process takes half a minute")
    return None


def _folders() -> Iterator[Path]:
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(given)
        return
    yield HERE / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "recommender"


def _digest() -> str:
    """Of SOURCES: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in HERE.glob(pattern)):
        digest.update(f"{path.relative_to(HERE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _is_usable(folder: Path) -> bool:
    """Make the folder, if it is not there. It must be writable, and no other user's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            os.utime(folder)
        return folder.stat().st_uid == os.getuid()
    except OSError:
        return False


def _forget_others(folder: Path, name: str) -> None:
    oldest = time.time() - KEPT_DAYS * 86_400
    for other in folder.glob("numba-*"):
        try:
            if other.name != name and other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)
        except OSError:  # another process did it
            continue
