"""Private directories and files on local disk. What a killed process leaves of them, the next one removes.

An owner holds a lock (flock) on what it made, which the kernel releases when the process ends, however it ends. So
what is not locked belongs to nobody. If the file system knows no such locks, nothing is removed. Neither is what
has another name than ours, belongs to another user, or is a symbolic link.
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
    """A directory that goes away afterwards; abandoned ones of that purpose go first."""
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
    """An empty file beside a path, for a rename to it; gone afterwards, abandoned ones for that path before."""
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
    """Remove what bears a prefix, which begins with `OURS`, is this user's, and belongs to no living process."""
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
    """A locked handle of what was just made; None if somebody who swept was quicker."""
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
