"""Private directories and files on local disk. The next process removes those of a killed one.

The owner holds a lock (flock) on its directory or file, which the kernel releases when the process ends. So an entry
without a lock is abandoned. Nothing is removed if the file system has no such locks, or if an entry has another prefix,
belongs to another user, or is a symbolic link.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

# Nobody else names a file so; the sweep goes by it.
OURS = ".recommender-scratch-"
# Not through a symbolic link, and without waiting for a writer where somebody put a pipe.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def scratch_directory(parent: Path, purpose: str = "work") -> Iterator[Path]:
    """A private directory, deleted afterwards; abandoned ones of the same purpose are deleted first."""
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{OURS}{purpose}-"
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
    """An empty file beside a path, to be renamed to it; deleted afterwards. Abandoned ones are deleted first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of the name only a hash: with more around it, a name of 255 bytes would be too long.
    prefix = f"{OURS}{sha256(os.fsencode(path.name)).hexdigest()[:16]}-"
    sweep(path.parent, prefix)
    while True:
        created, name = tempfile.mkstemp(dir=path.parent, prefix=prefix)
        os.close(created)
        handle = _owned(Path(name))
        if handle is not None:
            break
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(handle)


def sweep(parent: Path, prefix: str) -> None:
    """Remove entries with a prefix (it begins with `OURS`) that belong to this user and are not locked."""
    assert prefix.startswith(OURS)
    for path in [path for path in parent.iterdir() if path.name.startswith(prefix)]:
        with suppress(OSError):
            handle = os.open(path, _OPEN)
            try:
                about = os.fstat(handle)
                if about.st_uid != os.geteuid() or not (stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)):
                    continue
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if stat.S_ISDIR(about.st_mode) else path.unlink()
            finally:
                os.close(handle)


def _owned(path: Path) -> int | None:
    """Return a locked handle of a new entry; None if a concurrent sweep removed it."""
    try:
        handle = os.open(path, _OPEN)
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
