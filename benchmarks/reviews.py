"""Write a file of generated reviews of any size, shaped like all of Electronics; no line is a real review.

    python -m benchmarks.reviews reviews.jsonl.gz --reviews 21000000 [--layout 2018] [--seed 1]

`shop` has who reviewed what and when, `review_lines` how that is written. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
from isal import igzip

from .review_lines import LAYOUTS
from .shop import CORE, RAW, Choices, Shape, draw

BLOCK = 40_000
DUPLICATE_SHARE = 0.005
LEVEL = 1
LAYOUT, SEED = "2018", 1


@dataclass(frozen=True)
class Written:
    """A generated file: its lines, its bytes of JSON, and as it is on disk."""

    lines: int
    json_bytes: int
    packed_bytes: int


def write(path: Path, n_reviews: int, layout: str = LAYOUT, seed: int = SEED, shape: Shape = RAW) -> Written:
    """Write as one gzip member; or plainly, if the name has no .gz."""
    return _write(path, blocks(n_reviews, layout, seed, shape), n_reviews)


def write_files(folder: Path, n_files: int, n_reviews: int, layout: str = LAYOUT, seed: int = SEED) -> Written:
    """The lines of `write` in several files of about the same size, part-0000.jsonl.gz and so on.

    Files are not split within a block, so few reviews may make fewer files.
    """
    made, each = blocks(n_reviews, layout, seed), ceil(ceil(n_reviews / BLOCK) / n_files)
    parts: list[Written] = []
    while some := list(islice(made, 1)):
        path = folder / f"part-{len(parts):04d}.jsonl.gz"
        parts.append(_write(path, chain(some, islice(made, each - 1)), 0))
    return Written(n_reviews, sum(part.json_bytes for part in parts), sum(part.packed_bytes for part in parts))


def _write(path: Path, made: Iterable[pa.Buffer], n_reviews: int) -> Written:
    """Pack one block while the next is made."""
    size = 0
    with path.open("wb") as file, ThreadPoolExecutor(1) as beside:
        packed = path.suffix == ".gz"
        out = igzip.IGzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=file, mtime=0) if packed else file
        before: Future[int] | None = None
        for block in made:
            if before is not None:
                before.result()
            before = beside.submit(out.write, block)
            size += len(block)
        if before is not None:
            before.result()
        if packed:
            out.close()
    return Written(n_reviews, size, path.stat().st_size)


def blocks(n_reviews: int, layout: str = LAYOUT, seed: int = SEED, shape: Shape = RAW) -> Iterator[pa.Buffer]:
    """The lines in blocks: by item in the older layouts, by user in that of 2023, as the official files are."""
    rows = [min(BLOCK, n_reviews - start) for start in range(0, n_reviews, BLOCK)]
    copies = [round(DUPLICATE_SHARE * n) for n in rows]
    choices = draw(sum(rows) - sum(copies), seed, shape)
    if layout != "2023":
        choices = choices.take(np.argsort(choices.items, kind="stable"))
    rng, start = np.random.default_rng([seed, 2]), 0
    for n, n_copies in zip(rows, copies, strict=True):
        own = choices.take(slice(start, start + n - n_copies))
        yield _block(own, n_copies, layout, rng, seed)
        start += len(own)


def _block(own: Choices, n_copies: int, layout: str, rng: np.random.Generator, seed: int) -> pa.Buffer:
    """Lines, and the last of them once more: real files hold the same line twice."""
    _, offsets, data = LAYOUTS[layout](own, rng, seed).buffers()
    ends = np.frombuffer(offsets, np.int32)
    start, end = int(ends[len(own) - n_copies]), int(ends[len(own)])
    return pa.py_buffer(b"".join([data.slice(0, end), data.slice(start, end - start)]))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the file to write; .gz packs it")
    parser.add_argument("--reviews", type=int, required=True, help="number of lines")
    parser.add_argument("--layout", choices=LAYOUTS, default=LAYOUT, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed makes another shop (default: %(default)s)")
    parser.add_argument("--core", action="store_true", help="the shape of a 5-core file instead of that of raw reviews")
    given, began = parser.parse_args(), time.perf_counter()
    made = write(given.path, given.reviews, given.layout, given.seed, CORE if given.core else RAW)
    seconds = time.perf_counter() - began
    mb = made.json_bytes / 1e6
    print(
        f"{made.lines:,} reviews, {mb:,.0f} MB of JSON ({made.json_bytes / made.lines:.0f} bytes a line), "
        f"{made.packed_bytes / 1e6:,.0f} MB packed, in {seconds:.1f} s: {mb / seconds:.0f} MB/s"
    )


if __name__ == "__main__":
    main()
