"""SHA-256 of local files, computed once a process for each state of a file.

A file is known by its identity: device, inode, size, and the times of its last change. Whoever changes a file, or puts
another in its place, changes the identity, and the file is hashed again. A new process starts with no digests.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

# Longer than a tick of the clock from which a file system takes its times (1/HZ, at most 10 ms). Two changes within one
# tick leave the same times, so an identity counts only from one tick after the file's last change.
TICK_NS = 20_000_000
SECOND_NS = 1_000_000_000


class Identity(NamedTuple):
    """One state of one file; times in nanoseconds since 1970. `changed_ns` cannot be set back by `utime`."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, about: os.stat_result) -> Identity:
        """The identity from the result of `stat`."""
        return cls(
            device=about.st_dev,
            inode=about.st_ino,
            size_bytes=about.st_size,
            modified_ns=about.st_mtime_ns,
            changed_ns=about.st_ctime_ns,
        )

    def settled(self, now_ns: int) -> bool:
        """Whether every change from `now_ns` on changes the identity. Never true if times are whole seconds."""
        fine = bool(self.changed_ns % SECOND_NS)
        return fine and max(self.modified_ns, self.changed_ns) + TICK_NS < now_ns


_known: dict[Identity, str] = {}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; the file is read only if its digest is not known yet."""
    with path.open("rb") as file:
        began_ns, before = time.time_ns(), Identity.of(os.fstat(file.fileno()))
        if before in _known:
            return _known[before]
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if before.settled(began_ns) and Identity.of(os.fstat(file.fileno())) == before:
            _known[before] = found
    return found


def remember(digests: Mapping[Path, str]) -> None:
    """Store the digests of verified files in a private directory that is then renamed to its public place.

    Waits until the files are settled, at most one tick. The rename keeps their identity, and a later change of a file
    changes it.
    """
    states = {Identity.of(path.stat()): digest for path, digest in digests.items()}
    if not all(state.settled(time.time_ns()) for state in states):
        time.sleep(TICK_NS / SECOND_NS)
    _known.update({state: digest for state, digest in states.items() if state.changed_ns % SECOND_NS})


def forget() -> None:
    """Delete all digests, as in a new process."""
    _known.clear()
