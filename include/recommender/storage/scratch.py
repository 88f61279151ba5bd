"""Private directories and files on local disk. What a killed process leaves of them, the next one removes.

An owner holds a lock (flock) on what it made, which the kernel releases when the process ends, however it ends. So
what is not locked belongs to nobody. Where the file system knows no such locks, nothing is removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """A directory `<prefix><random>` that goes away afterwards; abandoned ones of that prefix go first."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, prefix)
    while True:
        path = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        handle = _owned(path)
        if handle is not None:
            break
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """An empty file `.<name>.<random>` beside a path, for a rename to it; gone afterwards, abandoned ones before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, f".{path.name}.")
    while True:
        made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(made)
        handle = _owned(Path(name))
        if handle is not None:
            break
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(handle)


def sweep(parent: Path, prefix: str) -> None:
    """Remove what bears a prefix and belongs to no living process."""
    for path in [path for path in parent.iterdir() if path.name.startswith(prefix)]:
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


def _owned(path: Path) -> int | None:
    """A locked handle of what was just made; None where somebody who swept was quicker."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        return handle  # no such locks here, so nobody sweeps
    if path.exists():
        return handle
    os.close(handle)
    return None
