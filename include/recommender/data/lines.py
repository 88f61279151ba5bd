"""Blocks of whole lines from review files: bounded memory, checked gzip, byte-order marks, over-long lines."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from isal import igzip, isal_zlib

from ..errors import DataError

BLOCK_BYTES = 8 << 20
BOMB_FLOOR_BYTES = 64 << 20
# The stubs give an instance where there is a class.
IGZIP_ERROR: type[Exception] = getattr(isal_zlib, "error")  # noqa: B009
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Whole lines of one file; `first_line` counts from 1. `too_long` marks one line cut at the limit."""

    first_line: int
    data: bytes
    too_long: bool = False


def read_blocks(path: Path, *, max_line_bytes: int, max_expansion: float) -> Iterator[Block]:
    """The lines of a review file, compressed or not, as blocks of about 8 MiB.

    Raises
    ------
    DataError
        The gzip data is truncated, corrupt, followed by garbage, or unpacks to over `max_expansion` times its size.
    """
    line, rest, skipping = 1, b"", False
    for chunk in _chunks(path, max_expansion):
        data = rest + chunk
        if line == 1 and not skipping and data.startswith(BOM):
            data = data[len(BOM) :]
        if skipping:
            newline = data.find(b"\n")
            if newline < 0:
                rest = b""
                continue
            data, skipping, line = data[newline + 1 :], False, line + 1
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if cut:
            yield Block(line, data[:cut])
            line += data.count(b"\n", 0, cut)
        if len(rest) > max_line_bytes:
            yield Block(line, rest[:200], too_long=True)
            rest, skipping = b"", True
    if rest:
        yield Block(line, rest + b"\n")


def _chunks(path: Path, max_expansion: float) -> Iterator[bytes]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if path.name.endswith(".gz") and not packed:
            raise DataError(
                f"{path.name}: does not start as gzip data although its name ends in .gz. "
                "It may be an error page or an unpacked file: download it again, or rename it."
            )
        if not packed:
            yield from iter(lambda: raw.read(BLOCK_BYTES), b"")
        else:
            yield from _unpack(raw, path, max_expansion)


def _unpack(raw: IO[bytes], path: Path, max_expansion: float) -> Iterator[bytes]:
    size, out = path.stat().st_size, 0
    mend = "Download the file again and compare its size with the source."
    try:
        with igzip.open(raw, "rb") as file:
            while chunk := file.read(BLOCK_BYTES):
                out += len(chunk)
                if out > max(BOMB_FLOOR_BYTES, size * max_expansion):
                    raise DataError(
                        f"{path.name}: unpacks to more than {max_expansion:g} times its {size} bytes, which no reviews "
                        "do. If it is genuine, raise `max_expansion`."
                    )
                yield chunk
    except EOFError as error:
        raise DataError(
            f"{path.name}: truncated, the gzip data ends early after {out} unpacked bytes. {mend}"
        ) from error
    except (OSError, zlib.error, IGZIP_ERROR) as error:
        raise DataError(f"{path.name}: corrupt gzip data after {out} unpacked bytes: {error}. {mend}") from error
