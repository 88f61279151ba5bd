"""Errors of the local disk as ConfigError: which path, for what purpose, how much is free, and the fix."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError

_SPACE = "Free some space there, or point RECOMMENDER_CACHE to a larger disk."
_RIGHTS = "Give the user of the Airflow worker the right to write there, or point RECOMMENDER_CACHE elsewhere."
_OCCUPIED = "Move away what is there: the cache holds only what this project writes."
# errno -> what it means, and what a person can do. None of them goes away by trying again.
REFUSALS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", "Raise the quota, or point RECOMMENDER_CACHE to another disk."),
    errno.EFBIG: ("the file is larger than the limit of the process or file system (ulimit -f)", _SPACE),
    errno.EROFS: ("the file system is read-only", "Mount it for writing, or point RECOMMENDER_CACHE elsewhere."),
    errno.EACCES: ("access is denied", _RIGHTS),
    errno.EPERM: ("access is denied", _RIGHTS),
    errno.EIO: ("the disk reports an input/output error", "Replace the disk, or point RECOMMENDER_CACHE to another."),
    errno.ENOTDIR: ("a file is where a folder belongs", _OCCUPIED),
    errno.EEXIST: ("a file is where a folder belongs", _OCCUPIED),
    errno.EISDIR: ("a folder is where a file belongs", _OCCUPIED),
    errno.ELOOP: ("a symbolic link is where a file or folder belongs", _OCCUPIED),
    errno.ENAMETOOLONG: ("the name is too long", "Use shorter names, or a RECOMMENDER_CACHE with a shorter path."),
}
# numpy reports a short write without an errno, in elements.
SHORT_WRITE = re.compile(r"(\d+) requested and (\d+) written")
# pyarrow keeps the errno in the text only, for some of its writers.
ERRNO_IN_TEXT = re.compile(r"\[errno (\d+)\]", re.IGNORECASE)


@contextmanager
def guarded(
    path: Path, doing: str, needed_bytes: int | None = None, *, written_in: Path | None = None
) -> Iterator[None]:
    """Turn errors of the disk within the block into ConfigError; other errors pass.

    Parameters
    ----------
    path : the file that is written, or the folder
    doing : the purpose, such as "the output of train_als"
    needed_bytes : size of the write, if it is known
    written_in : if it is not, the folder whose size is reported as already written
    """
    try:
        yield
    except OSError as error:
        refused = _refusal(error)
        if refused is None:
            raise
        what, remedy = refused
        sizes = "; ".join(_sizes(error, path, needed_bytes, written_in))
        raise ConfigError(f"{path}: {what}. It was needed for {doing}{_at(error, path)}. {sizes}. {remedy}") from error


def _refusal(error: OSError) -> tuple[str, str] | None:
    number = error.errno
    if number is None and SHORT_WRITE.search(str(error)):
        number = errno.ENOSPC
    if number is None and (details := ERRNO_IN_TEXT.search(str(error))):
        number = int(details[1])
    return REFUSALS.get(number) if number is not None else None


def _at(error: OSError, path: Path) -> str:
    own = error.filename2 or error.filename
    return f" (at {own})" if isinstance(own, str) and own != str(path) else ""


def _sizes(error: OSError, path: Path, needed_bytes: int | None, written_in: Path | None) -> Iterator[str]:
    free = _free_bytes(path)
    if free is not None:
        yield f"{free / 1e6:,.1f} MB are free"
    if needed_bytes is not None:
        yield f"{needed_bytes / 1e6:,.1f} MB are needed"
    elif written_in is not None:
        yield f"{_written_bytes(written_in) / 1e6:,.1f} MB were written and more is needed"
    if short := SHORT_WRITE.search(str(error)):
        yield f"{short[2]} of {short[1]} values of an array could be written"


def _free_bytes(path: Path) -> int | None:
    """Free space for this user on the disk of a path, which need not exist."""
    for place in (path, *path.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def _written_bytes(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return total
