"""The file of a download: at first as long as the object, filled range by range, and named only when it is whole.

A resumed one has a fixed name beside its target, with a hash of what is fetched (object, ETag, size), and outlives its
process. Behind the bytes of the object it has a record for each range: a mark and the CRC-32 of the range, written when
the range is there. A range counts as fetched only if its bytes still have that CRC-32. So nothing is trusted that a
power failure left half-written, and the SHA-256 of the whole file is taken anyway.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..errors import TransientError
from .scratch import OURS, scratch_file, sweep

RECORD = struct.Struct("<4sI")
FETCHED = b"done"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Partial:
    """The open file of a download.

    size_bytes : of the object
    range_bytes : of each range but the last
    """

    path: Path
    handle: int
    size_bytes: int
    range_bytes: int

    @property
    def n_ranges(self) -> int:
        """How many ranges the object has; an empty one has none."""
        return -(-self.size_bytes // self.range_bytes)

    def bounds(self, number: int) -> tuple[int, int]:
        """First byte of a range, and the byte after its last."""
        start = number * self.range_bytes
        return start, min(start + self.range_bytes, self.size_bytes)

    def write(self, data: bytes, offset: int) -> None:
        """Write all of some bytes."""
        view = memoryview(data)
        while view:
            n = os.pwrite(self.handle, view, offset)
            view, offset = view[n:], offset + n

    def read(self, number: int) -> Iterator[bytes]:
        """The bytes of a range, in pieces."""
        start, stop = self.bounds(number)
        for offset in range(start, stop, CHUNK_BYTES):
            yield os.pread(self.handle, min(CHUNK_BYTES, stop - offset), offset)

    def mark(self, number: int, crc: int) -> None:
        """Record that a range is there."""
        self.write(RECORD.pack(FETCHED, crc), self._record_at(number))

    def has(self, number: int) -> bool:
        """Whether a range is there, byte by byte."""
        record = os.pread(self.handle, RECORD.size, self._record_at(number))
        if len(record) < RECORD.size or record[: len(FETCHED)] != FETCHED:
            return False
        crc = 0
        for data in self.read(number):
            crc = zlib.crc32(data, crc)
        return record == RECORD.pack(FETCHED, crc)

    def _record_at(self, number: int) -> int:
        return self.size_bytes + number * RECORD.size

    def finish(self, target: Path) -> None:
        """Give the file, which is whole, its length and name."""
        os.ftruncate(self.handle, self.size_bytes)
        os.replace(self.path, target)


@contextmanager
def private_file(path: Path, size_bytes: int, range_bytes: int) -> Iterator[Partial]:
    """The file of a download that begins anew each time; it is deleted unless it was finished."""
    with scratch_file(path) as part, _opened(part) as handle:
        yield Partial(path=part, handle=handle, size_bytes=size_bytes, range_bytes=range_bytes)


@contextmanager
def resumed_file(path: Path, what: str, size_bytes: int, range_bytes: int) -> Iterator[Partial]:
    """The file of a download that goes on where the last one of the same bytes ended.

    It is kept after a TransientError, or if the process is ended, and deleted after any other error. Files of other
    bytes for the same target are deleted. Where another process is fetching the same, this one begins anew.

    Parameters
    ----------
    what : what decides the bytes: the object and its version
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{OURS}part-{_hash(path.name)}-"
    part = path.with_name(prefix + _hash(f"{what}\0{size_bytes}\0{range_bytes}"))
    handle = _locked(part)
    if handle is None:
        with private_file(path, size_bytes, range_bytes) as other:
            yield other
        return
    try:
        sweep(path.parent, prefix)
        yield Partial(path=part, handle=handle, size_bytes=size_bytes, range_bytes=range_bytes)
    except TransientError:
        raise
    except Exception:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _hash(text: str) -> str:
    return sha256(os.fsencode(text)).hexdigest()[:16]


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _locked(path: Path) -> int | None:
    """A locked handle of a file, made if it is missing; None if somebody else has it, or has just finished it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), path.lstat()):
            return handle
    except OSError:
        pass  # also where there are no such locks
    os.close(handle)
    return None
