"""The cache of a worker: a private folder whose entries are removed when they have not been used for a while.

    <RECOMMENDER_CACHE>/recommender-cache/     mode 0700, of this user
        CACHEDIR.TAG                           our mark; without it nothing is removed
        <kind>/<name>/                         an entry: a stage's output, a model version, a downloaded file
        <kind>/<name>/.recommender-entry       our mark; a folder without it is never removed

A process that uses an entry holds a shared lock on one byte of the file `.locks`. Removing an entry takes an exclusive
lock on that byte, so an entry in use is never removed. One open file is enough for any number of entries.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import RLock

from ..errors import ConfigError
from .disk import guarded
from .plain_names import plain_name
from .scratch import scratch_directory

log = logging.getLogger(__name__)

KEEP_S = 14 * 86_400
FOLDER = "recommender-cache"
TAG, ENTRY, LOCKS = "CACHEDIR.TAG", ".recommender-entry", ".locks"
# The first line is that of the Cache Directory Tagging Specification, so that backups leave the folder out.
TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# The cache of recommender_retrain. It may be deleted while no task runs.\n"
)
ENTRY_TEXT = "An entry of the cache of recommender_retrain. It is removed when unused for two weeks.\n"


def default_parent(environment: Mapping[str, str]) -> Path:
    """The default place of the cache: below the user's cache directory (XDG Base Directory).

    Raises
    ------
    ConfigError
        The environment names no home directory.
    """
    xdg, home = environment.get("XDG_CACHE_HOME", ""), environment.get("HOME", "")
    if os.path.isabs(xdg):
        return Path(xdg, "recommender")
    if os.path.isabs(home):
        return Path(home, ".cache", "recommender")
    raise ConfigError(
        "RECOMMENDER_CACHE is not set, and the environment of the Airflow workers names no home directory (HOME, "
        "XDG_CACHE_HOME) for the default. Set RECOMMENDER_CACHE to a folder on a local disk."
    )


def cache_of(environment: Mapping[str, str]) -> Path:
    """The folder of our own below RECOMMENDER_CACHE, or below the default. Raises ConfigError."""
    given = environment.get("RECOMMENDER_CACHE", "")
    return (Path(given) if given else default_parent(environment)) / FOLDER


def claim(cache: Path) -> None:
    """Create the cache if it is missing, and check that it belongs to this project and user only.

    Raises
    ------
    ConfigError
        It is a link, belongs to another user, has foreign content, or cannot be created.
    """
    with guarded(cache, "making the cache"):
        cache.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(cache / TAG):
            _make(cache)
        about = cache.lstat()
        if stat.S_ISLNK(about.st_mode) or not stat.S_ISDIR(about.st_mode):
            raise ConfigError(f"{cache}: expected a folder of this user, found a link or file. {_ELSEWHERE}")
        if about.st_uid != os.geteuid():
            raise ConfigError(
                f"{cache}: belongs to user {about.st_uid}, and this process is user {os.geteuid()}. {_ELSEWHERE}"
            )
        if not _reads(cache / TAG, TAG_TEXT):
            raise ConfigError(f"{cache}: is there already, and is not a cache of this project. {_ELSEWHERE}")
        if about.st_mode & 0o077:
            cache.chmod(0o700)


_ELSEWHERE = "Move it away, or point RECOMMENDER_CACHE to another folder; each user needs one of their own."


def _make(cache: Path) -> None:
    """Create the folder with its mark atomically; an existing folder is kept, unless it is empty."""
    with scratch_directory(cache.parent, "cache") as work:
        fresh = work / "made"
        fresh.mkdir(mode=0o700)
        (fresh / TAG).write_text(TAG_TEXT)
        with suppress(FileExistsError, NotADirectoryError):
            try:
                os.rename(fresh, cache)
            except OSError:
                if not os.path.lexists(cache):
                    raise


def entry_path(cache: Path, kind: str, name: str) -> Path:
    """Return the path of an entry, and lock it for this process.

    Raises
    ------
    ValueError
        A name is not plain.
    ConfigError
        Its path is a link.
    """
    folder = cache / plain_name(kind)
    entry = folder / plain_name(name)
    for place in (folder, entry):
        if place.is_symlink():
            raise ConfigError(f"{place}: is a symbolic link, which the cache never follows. Remove it.")
    _lock_shared(cache, entry)
    return entry


def make_entry(entry: Path) -> None:
    """Create the folder of an entry, with our mark; an existing folder is kept."""
    with guarded(entry, "making an entry of the cache"):
        entry.mkdir(parents=True, exist_ok=True)
        mark_entry(entry)


def mark_entry(entry: Path) -> None:
    """Put our mark into the folder of an entry."""
    # Over one that is there: a process that was killed may have left it empty.
    handle = os.open(entry / ENTRY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(ENTRY_TEXT)


def used(entry: Path) -> None:
    """Set the time of the last use of an entry to now."""
    with suppress(OSError):
        os.utime(entry, follow_symlinks=False)


def prune(cache: Path, keep_s: float = KEEP_S) -> list[str]:
    """Remove our entries (`<kind>/<name>`) that were not used for `keep_s` seconds and are not locked; return them."""
    if cache.is_symlink() or not _reads(cache / TAG, TAG_TEXT):
        return []
    limit = time.time() - keep_s
    removed = [entry for entry in _entries(cache) if _used_at(entry) < limit and _remove(cache, entry, limit)]
    if removed:
        log.info("Removed %d entries of %s, unused for %d days", len(removed), cache, keep_s // 86_400)
    return [str(entry.relative_to(cache)) for entry in removed]


def _entries(cache: Path) -> Iterator[Path]:
    for kind in _folders(cache):
        yield from (entry for entry in _folders(kind) if _reads(entry / ENTRY, ENTRY_TEXT))


def _folders(parent: Path) -> list[Path]:
    """Yield the folders of this user that are not links."""
    with suppress(OSError), os.scandir(parent) as rows:
        return sorted(
            Path(row.path)
            for row in rows
            if not row.name.startswith(".")
            and row.is_dir(follow_symlinks=False)
            and row.stat(follow_symlinks=False).st_uid == os.geteuid()
        )
    return []


def _remove(cache: Path, entry: Path, limit: float) -> bool:
    """Remove an entry unless it is locked or was used since it was listed."""
    with _one_thread, _exclusive(cache, entry) as alone:
        if not alone or _used_at(entry) >= limit:
            return False
        try:
            with scratch_directory(cache, "removed") as work:
                os.rename(entry, work / "entry")
        except OSError as error:
            log.warning("%s could not be removed: %s", entry, error)
            return False
        return True


def _used_at(entry: Path) -> float:
    try:
        return entry.lstat().st_mtime
    except OSError:
        return time.time()


def _reads(path: Path, text: str) -> bool:
    """Whether a path is a regular file with this text, not a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            return file.read(len(text) + 1) == text.encode()
    except OSError:
        return False


@dataclass
class _HeldLocks:
    """The entries of one cache that this process has locked.

    POSIX locks (fcntl) belong to the process. They end with it, or when it closes any handle of the file. So the file
    is opened once and never closed.
    """

    pid: int
    handle: int
    names: set[str] = field(default_factory=set)


_held: dict[str, _HeldLocks] = {}
# A second handle of the file would, when it is closed, end all locks of this process.
_one_thread = RLock()


def _held_locks(cache: Path) -> _HeldLocks:
    key = os.path.abspath(cache)
    found = _held.get(key)
    if found is None or found.pid != os.getpid() or not _is_open(found.handle, cache / LOCKS):
        cache.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        found = _held[key] = _HeldLocks(os.getpid(), os.open(cache / LOCKS, flags, 0o600))
    return found


def _is_open(handle: int, path: Path) -> bool:
    """Whether a handle is still that of the file at a path: the cache may have been deleted."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        return False


def _lock_shared(cache: Path, entry: Path) -> None:
    """Keep an entry from being removed until this process ends."""
    with _one_thread:
        with guarded(cache, "locking an entry of the cache"):
            held = _held_locks(cache)
        name = str(entry.relative_to(cache))
        if name not in held.names:
            with suppress(OSError):  # no such locks here: then `_exclusive` gets none either
                fcntl.lockf(held.handle, fcntl.LOCK_SH, 1, _offset(name))
            held.names.add(name)


def release(cache: Path, entry: Path) -> None:
    """Let an entry be removed that this process no longer uses."""
    with _one_thread:
        held, name = _held_locks(cache), str(entry.relative_to(cache))
        if name in held.names:
            held.names.discard(name)
            with suppress(OSError):
                fcntl.lockf(held.handle, fcntl.LOCK_UN, 1, _offset(name))


@contextmanager
def _exclusive(cache: Path, entry: Path) -> Iterator[bool]:
    """Yield whether the entry could be locked exclusively; the lock is held within."""
    held, name = _held_locks(cache), str(entry.relative_to(cache))
    if name in held.names:  # a process does not exclude itself
        yield False
        return
    try:
        fcntl.lockf(held.handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(name))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.lockf(held.handle, fcntl.LOCK_UN, 1, _offset(name))


def _offset(name: str) -> int:
    """The byte of an entry in the lock file; two entries that share a byte only keep each other."""
    return int.from_bytes(sha256(os.fsencode(name)).digest()[:6])
