"""Who has the file of a resumed download: one process at a time, by a lock (flock) that ends with it."""

from __future__ import annotations

import fcntl
import logging
import os
from enum import Enum, auto
from pathlib import Path

log = logging.getLogger(__name__)

# Without O_EXCL or O_TRUNC: it may be there, with ranges in it.
OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Owner(Enum):
    """Who has the file of a download that was opened.

    ANOTHER : also nobody, where the file system has no locks
    FINISHED : nobody; it is the target by now
    DELETED : nobody; another process deleted it after an error
    """

    US = auto()
    ANOTHER = auto()
    FINISHED = auto()
    DELETED = auto()


def taken(part: Path, target: Path) -> tuple[int, Owner]:
    """A handle of a file, made if it is missing, and locked if it is ours."""
    while True:
        handle = os.open(part, OPEN | os.O_CREAT, 0o600)
        try:
            owner = _owner(handle, part, target)
        except BaseException:
            os.close(handle)
            raise
        if owner is not Owner.DELETED:
            return handle, owner
        os.close(handle)


def _owner(handle: int, part: Path, target: Path) -> Owner:
    locked = _locked(handle, part)
    if _is_at(handle, target):
        return Owner.FINISHED
    if not locked:
        return Owner.ANOTHER
    return Owner.US if _is_at(handle, part) else Owner.DELETED


def _locked(handle: int, part: Path) -> bool:
    """Whether a file could be locked. Where there are no locks, it is deleted if it is new: nobody will use it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.warning(
            "%s: the file system has no locks (%s). A download there that breaks off begins anew, not where it ended.",
            part.parent,
            error.strerror,
        )
        if not os.fstat(handle).st_size:
            part.unlink(missing_ok=True)
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def is_free(handle: int) -> bool | None:
    """Whether nobody has the file of a handle; None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
