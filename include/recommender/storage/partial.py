"""The file of a download: its space is reserved, it is filled range by range, and named only when it is whole.

A full disk is found before the first byte is fetched, where the file system can reserve space. A resumed file has a
fixed name beside its target, with a hash of what is fetched (object, ETag, size), and outlives its process. Behind the
bytes of the object it has a record for each range: a mark and the CRC-32 of the range, written when the range is there.
A range counts as fetched only if its bytes still have that CRC-32. So nothing is trusted that a power failure left
half-written, and the SHA-256 of the whole file is taken anyway.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..errors import ConfigError, TransientError
from .part_lock import OPEN, Owner, is_free, taken
from .scratch import OURS, scratch_file, sweep

RECORD = struct.Struct("<4sI")
FETCHED = b"done"
CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 512  # of st_blocks, on every file system
# What file systems and C libraries answer that cannot reserve space.
NO_RESERVING = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


@dataclass(frozen=True, kw_only=True)
class Partial:
    """The open file of a download.

    size_bytes : of the object
    range_bytes : of each range but the last
    finished : whether it is the target already, whole
    """

    path: Path
    handle: int
    size_bytes: int
    range_bytes: int
    finished: bool = False

    @property
    def n_ranges(self) -> int:
        """How many ranges the object has; an empty one has none."""
        return -(-self.size_bytes // self.range_bytes)

    def bounds(self, number: int) -> tuple[int, int]:
        """First byte of a range, and the byte after its last."""
        start = number * self.range_bytes
        return start, min(start + self.range_bytes, self.size_bytes)

    def reserve(self) -> None:
        """Give a new file its length, and its space on the disk. Raises OSError if there is too little."""
        length = self._record_at(self.n_ranges)
        if os.fstat(self.handle).st_size >= length or not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self.handle, 0, length)
        except OSError as error:
            if error.errno not in NO_RESERVING:
                raise

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
        if self.finished:
            return True
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
        if self.finished:
            return
        os.ftruncate(self.handle, self.size_bytes)
        os.replace(self.path, target)


@contextmanager
def private_file(path: Path, size_bytes: int, range_bytes: int) -> Iterator[Partial]:
    """The file of a download that begins anew each time; it is deleted unless it was finished."""
    with scratch_file(path) as part, _opened(part) as handle:
        file = Partial(path=part, handle=handle, size_bytes=size_bytes, range_bytes=range_bytes)
        file.reserve()
        yield file


@contextmanager
def resumed_file(path: Path, what: str, size_bytes: int, range_bytes: int) -> Iterator[Partial]:
    """The file of a download that goes on where the last one of the same bytes ended.

    It is kept after a TransientError, after a ConfigError (such as expired credentials), or if the process is ended. It
    is deleted after any other error: its bytes may be wrong, or its disk is full and other programs need the space.
    Files of other bytes for the same target are deleted. Where another process is fetching the same, this one begins
    anew; where it has just finished, its file is used.

    Parameters
    ----------
    what : what decides the bytes: the object and its version
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix, part = _names(path, what, size_bytes, range_bytes)
    handle, owner = taken(part, path)
    file = Partial(
        path=part, handle=handle, size_bytes=size_bytes, range_bytes=range_bytes, finished=owner is Owner.FINISHED
    )
    try:
        if owner is Owner.US:
            sweep(path.parent, prefix)
            with _kept_for_the_next(file):
                yield file
        elif owner is Owner.FINISHED:
            yield file
        else:
            with private_file(path, size_bytes, range_bytes) as other:
                yield other
    finally:
        os.close(handle)


@contextmanager
def _kept_for_the_next(file: Partial) -> Iterator[None]:
    """Keep a file that the next download can use; see `resumed_file`."""
    try:
        file.reserve()
        yield
    except (TransientError, ConfigError):
        raise
    except Exception:
        file.path.unlink(missing_ok=True)
        raise


def missing_bytes(path: Path, what: str, size_bytes: int, range_bytes: int) -> int:
    """Bytes of disk that are still to be taken by a download with `resumed_file`, and by another one of the same.

    Space that is reserved counts as taken. The arguments are those of `resumed_file`.
    """
    try:
        handle = os.open(_names(path, what, size_bytes, range_bytes)[1], OPEN)
    except OSError:
        return size_bytes
    try:
        rest, free = max(0, size_bytes - os.fstat(handle).st_blocks * BLOCK_BYTES), is_free(handle)
    finally:
        os.close(handle)
    if free is None:
        return size_bytes  # it is not resumed
    return rest if free else size_bytes + rest


def _names(path: Path, what: str, size_bytes: int, range_bytes: int) -> tuple[str, Path]:
    """How the files of all downloads to a target begin, and the file of this one."""
    prefix = f"{OURS}part-{_hash(path.name)}-"
    return prefix, path.with_name(prefix + _hash(f"{what}\0{size_bytes}\0{range_bytes}"))


def _hash(text: str) -> str:
    return sha256(os.fsencode(text)).hexdigest()[:16]


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, OPEN)
    try:
        yield handle
    finally:
        os.close(handle)
