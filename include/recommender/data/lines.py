"""Blocks of whole lines from review files: bounded memory, checked gzip, over-long lines."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from isal import igzip, isal_zlib

from ..errors import DataError
from ..plain_text import shown
from .formats import EXPECTED, foreign
from .scanning import count_line_feeds

# Large enough that threads seldom wait for each other.
BLOCK_BYTES = 1 << 20
MOST_LINES = 4096
BOMB_FLOOR_BYTES = 64 << 20
EXCERPT_BYTES = 800
NEWLINE = ord("\n")
GZIP = b"\x1f\x8b"
REMEDY = "Download the file again and compare its size with the source."
# The stubs give an instance where there is a class.
IGZIP_ERROR: type[Exception] = getattr(isal_zlib, "error")  # noqa: B009
PIECE_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one file, each with its line feed.

    first_line : number of the first line, counted from 1
    n_lines : how many lines there are
    too_long : it is one line over the limit, of which `data` holds the beginning
    """

    first_line: int
    data: bytes | memoryview
    n_lines: int
    too_long: bool = False

    @classmethod
    def of(cls, first_line: int, data: bytes | memoryview) -> Block:
        """A block of lines; `data` ends in a line feed."""
        return cls(first_line, data, count_line_feeds(data))

    @classmethod
    def cut(cls, line: int, data: bytes | memoryview, max_line_bytes: int) -> Block:
        """One line over the limit. So much of it is known wherever a chunk ends."""
        return cls(line, bytes(data[: min(EXCERPT_BYTES, max_line_bytes)]), 1, too_long=True)

    def __len__(self) -> int:
        return self.n_lines

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Number and content of each line, without its line feed."""
        lines = bytes(self.data).split(b"\n")
        yield from enumerate(lines[:-1], self.first_line)


def read_blocks(
    path: Path,
    *,
    max_line_bytes: int,
    max_expansion: float,
    name: str | None = None,
    expected: str = EXPECTED,
    watch: Callable[[int], object] | None = None,
) -> Iterator[Block]:
    """Yield the lines of a review file, compressed or not, in blocks of about one MiB.

    Memory: three blocks and twice `max_line_bytes` at most, whatever is in the file.

    Parameters
    ----------
    name : file name for messages; its ending decides whether gzip data is expected; the name of the path if None
    expected : the last sentence of the message that refuses another format
    watch : is called with the bytes of the file, as it is stored, that have been read so far

    Raises
    ------
    DataError
        The file cannot be read; its gzip data is truncated, corrupt, followed by garbage, or unpacks to over
        `max_expansion` times its size; or it is of another format.
    """
    name = shown(path.name if name is None else name)
    line, rest, skipping = 1, b"", False
    for chunk, position in _chunks(path, name, max_expansion, expected):
        if watch is not None:
            watch(position)
        if skipping:
            newline = chunk.find(b"\n")
            if newline < 0:
                continue
            chunk, skipping, line = chunk[newline + 1 :], False, line + 1
        cut = chunk.rfind(b"\n") + 1
        if cut:
            block = Block.of(line, _joined(rest, memoryview(chunk)[:cut]))
            for part in _within_limit(block, max_line_bytes):
                yield from _in_parts(part)
            rest, line = b"", line + len(block)
        rest += chunk[cut:]
        if len(rest) > max_line_bytes:
            yield Block.cut(line, rest, max_line_bytes)
            rest, skipping = b"", True
    if rest:
        yield Block.of(line, rest + b"\n")


def _joined(rest: bytes, more: memoryview) -> memoryview:
    """Both in memory of Arrow's pool, which keeps what is freed for the next block.

    Memory of blocks that the C library takes from the system, and gives back each time, costs as much as to unpack it.
    """
    data = memoryview(pa.allocate_buffer(len(rest) + len(more))).cast("B")
    data[: len(rest)], data[len(rest) :] = rest, more
    return data


def _within_limit(block: Block, max_line_bytes: int) -> Iterator[Block]:
    """Yield the block in parts: each line over the limit is a block of its own."""
    if len(block.data) <= max_line_bytes:
        yield block
        return
    start = at = 0
    ends = np.flatnonzero(np.frombuffer(block.data, np.uint8) == NEWLINE)
    for row in np.flatnonzero(np.diff(ends, prepend=-1) - 1 > max_line_bytes).tolist():
        begin = int(ends[row - 1]) + 1 if row else 0
        if row > start:
            yield Block(block.first_line + start, block.data[at:begin], row - start)
        start, at = row + 1, int(ends[row]) + 1
        yield Block.cut(block.first_line + row, block.data[begin:at], max_line_bytes)
    if start < len(block):
        yield Block(block.first_line + start, block.data[at:], len(block) - start)


def _in_parts(block: Block) -> Iterator[Block]:
    """Yield the block in parts of few lines: each bad line takes far more memory than two bytes."""
    if len(block) <= MOST_LINES:
        yield block
        return
    ends = np.flatnonzero(np.frombuffer(block.data, np.uint8) == NEWLINE) + 1
    begin = 0
    for start in range(0, len(block), MOST_LINES):
        stop = min(start + MOST_LINES, len(block))
        yield Block(block.first_line + start, block.data[begin : ends[stop - 1]], stop - start)
        begin = int(ends[stop - 1])


def _chunks(path: Path, name: str, max_expansion: float, expected: str) -> Iterator[tuple[bytes, int]]:
    """The unpacked bytes of a file, and how far it was read; the first chunk is checked for foreign formats."""
    try:
        with path.open("rb") as raw:
            for chunk in _checked(raw, name, max_expansion, expected):
                yield chunk, raw.tell()
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror or error}. Expected a readable file.") from error


def _checked(raw: IO[bytes], name: str, max_expansion: float, expected: str) -> Iterator[bytes]:
    head = raw.read(4096)
    raw.seek(0)
    packed = head.startswith(GZIP)
    if name.lower().endswith(".gz") and not packed:
        raise DataError(f"{name}: does not start as gzip data although its name ends in .gz. {_instead(head)}")
    chunks = _unpack(raw, name, max_expansion) if packed else iter(lambda: raw.read(BLOCK_BYTES), b"")
    first = next(chunks, b"")
    what = foreign(first)
    if what:
        raise DataError(f"{name}: {what} {expected}")
    yield first
    yield from chunks


def _instead(head: bytes) -> str:
    """Return what a file is that should hold gzip data, and what to do."""
    if not head:
        return f"It has no bytes at all, an empty gzip file has 20. {REMEDY}"
    if head.lstrip().startswith(b"{"):
        return "It holds plain text: rename it without .gz, or pack it with gzip."
    what = foreign(head)
    return f"It {what}" if what else REMEDY


def _unpack(raw: IO[bytes], name: str, max_expansion: float) -> Iterator[bytes]:
    size, out = os.fstat(raw.fileno()).st_size, 0
    try:
        for chunk in _unpacked(raw):
            out += len(chunk)
            if out > max(BOMB_FLOOR_BYTES, size * max_expansion):
                raise DataError(
                    f"{name}: unpacks to more than {max_expansion:g} times its {size} bytes, which no reviews "
                    "do. If it is genuine, raise `max_expansion`."
                )
            yield chunk
    except EOFError as error:
        raise DataError(
            f"{name}: truncated (or followed by a few bytes of garbage): the gzip data ends early after {out} "
            f"unpacked bytes. {REMEDY}"
        ) from error
    except (OSError, zlib.error, IGZIP_ERROR) as error:
        raise DataError(f"{name}: corrupt gzip data after {out} unpacked bytes: {error}. {REMEDY}") from error


def _unpacked(raw: IO[bytes]) -> Iterator[bytes]:
    """The unpacked bytes of a file; before an error, all that came before it but a piece at most."""
    out = 0
    try:
        with igzip.open(raw, "rb") as file:
            while chunk := file.read(BLOCK_BYTES):
                yield chunk
                out += len(chunk)
    except (EOFError, OSError, zlib.error, IGZIP_ERROR):
        if last := _last(raw, out):
            yield last
        raise


def _last(raw: IO[bytes], out: int) -> bytes:
    """What a file unpacks to after `out` bytes and before an error.

    A read that fails drops what it has unpacked. So the file is unpacked again up to the error, the end in pieces.
    """
    pieces = []
    with suppress(EOFError, OSError, zlib.error, IGZIP_ERROR):
        raw.seek(0)
        with igzip.open(raw, "rb") as file:
            file.seek(out)
            for _ in range(BLOCK_BYTES // PIECE_BYTES):
                pieces.append(file.read(PIECE_BYTES))
    return b"".join(pieces)
