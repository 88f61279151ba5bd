"""Parsing against pandas, and its memory from small files to large ones.

    python -m benchmarks.parse speed [--mb 400] [--pairs 5]
    python -m benchmarks.parse memory [--mb 100 2000]

speed: the whole of `parse_files` (gunzip, JSON, checks, integer codes, Parquet) against `pandas.read_json(lines=True)`,
which only reads, on one generated .json.gz of the 2018 layout, or with --file on another. CPU seconds of all threads,
each run in a fresh process, in turn. Beside it bare `isal`, which only unpacks the same file: the share of its speed,
by the clock, is what to look at on an idle machine. The aim is 0.45 on two cores.
memory: peak resident memory of a process that parses, for sizes that share the same users and items.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from isal import igzip

from ._timing import Cost, in_child, measure, report, spread

MB = 1_000_000
# Lines a user and lines an item, about those of the Electronics 5-core reviews of 2018.
LINES_A_USER, LINES_AN_ITEM = 9, 42
LINE_BYTES = 650
N_TEXTS = 20_000
DAYS = 10_500, 17_700  # since 1970: October 1998 to June 2018
READ_BYTES = 1 << 18
FIXED_USERS, FIXED_ITEMS = 100_000, 20_000


def texts(rng: np.random.Generator) -> list[str]:
    """Review texts as JSON strings: words by Zipf's law, lengths log-normal, with quotes, line feeds and accents."""
    letters = np.array(list("eeeetttaaooiinnsshhrrddlu"))
    words = ["".join(rng.choice(letters, rng.integers(1, 10))) for _ in range(20_000)]
    shares = 1 / np.arange(1, len(words) + 1)
    lengths = np.clip(rng.lognormal(3.5, 1.1, N_TEXTS), 1, 3000).astype(int)
    drawn = iter(rng.choice(len(words), int(lengths.sum()), p=shares / shares.sum()).tolist())
    found = []
    for length, mark in zip(lengths.tolist(), rng.random(N_TEXTS).tolist(), strict=True):
        text = " ".join(words[next(drawn)] for _ in range(length))
        text += ' "Great"' if mark < 0.2 else "\n\nVery good." if mark < 0.3 else " caf\u00e9." if mark < 0.33 else "."
        found.append(json.dumps(text))
    return found


def generate(path: Path, size_bytes: int, n_users: int, n_items: int, seed: int = 1) -> int:
    """Write generated reviews of the 2018 layout as gzip; return the bytes of JSON."""
    rng = np.random.default_rng(seed)
    pool, written = texts(rng), 0
    with igzip.open(path, "wb", compresslevel=3) as out:
        while written < size_bytes:
            data = "".join(_lines(rng, pool, n_users, n_items)).encode()
            out.write(data)
            written += len(data)
    return written


LINE = (
    '{{"overall": {rating}.0, {vote}"verified": {verified}, "reviewTime": "{date}", "reviewerID": "A{user:013d}", '
    '"asin": "B{item:09d}", {style}"reviewerName": "Reader {name}", "reviewText": {text}, '
    '"summary": "Five stars for number {item}", "unixReviewTime": {time}}}\n'
)


def _lines(rng: np.random.Generator, pool: list[str], n_users: int, n_items: int, n: int = 10_000) -> list[str]:
    days = rng.integers(*DAYS, n)
    columns: dict[str, np.ndarray] = {
        "rating": rng.choice([1, 2, 3, 4, 5], n, p=[0.1, 0.05, 0.08, 0.17, 0.6]),
        "vote": np.where(rng.random(n) < 0.15, '"vote": "3", ', ""),
        "verified": np.where(rng.random(n) < 0.85, "true", "false"),
        "user": rng.integers(0, n_users, n) * 7919,
        "item": (n_items * rng.random(n) ** 3).astype(int),
        "style": np.where(rng.random(n) < 0.5, '"style": {"Color:": " Black", "Size:": " 7.0 oz"}, ', ""),
        "text": np.array(pool, object)[rng.integers(0, len(pool), n)],
        "date": np.array([f"{day:%m %d, %Y}" for day in days.astype("datetime64[D]").tolist()]),
        "time": days * 86_400,
    }
    columns["name"] = columns["user"] % 99_991
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [LINE.format_map(dict(zip(columns, row, strict=True))) for row in rows]


def _ours(path: Path) -> Cost:
    from include.recommender.config import ParseConfig
    from include.recommender.data.parsing import parse_files

    with tempfile.TemporaryDirectory() as folder:
        return measure(lambda: parse_files([(path.name, path)], Path(folder), ParseConfig()))


def _pandas(path: Path) -> Cost:
    import pandas as pd

    return measure(lambda: pd.read_json(path, lines=True))


def _isal(path: Path) -> Cost:
    def work() -> None:
        with igzip.open(path) as file:
            while file.read(READ_BYTES):
                pass

    return measure(work)


def speed(path: Path, n_pairs: int) -> list[float]:
    """Print and return the ratios of CPU seconds, pandas to ours."""
    with igzip.open(path) as file:
        n_bytes = sum(len(block) for block in iter(lambda: file.read(MB), b""))
    print(f"{n_bytes / MB:,.0f} MB of JSON, {path.stat().st_size / MB:,.0f} MB packed", flush=True)
    cpu, wall, shares, bare_cpu = [], [], [], []
    for number in range(1, n_pairs + 1):
        ours, theirs, bare = (in_child("benchmarks.parse", work, str(path)) for work in ("_ours", "_pandas", "_isal"))
        cpu.append(theirs.cpu_s / ours.cpu_s)
        wall.append(theirs.wall_s / ours.wall_s)
        shares.append(bare.wall_s / ours.wall_s)
        bare_cpu.append(ours.cpu_s / bare.cpu_s)
        rates = [f"{n_bytes / MB / cost.wall_s:,.0f} MB/s" for cost in (ours, theirs, bare)]
        print(f"pair {number}: parse_files {rates[0]}, pandas {rates[1]}, isal {rates[2]}", flush=True)
    print("speed, parse_files / bare isal, min / median / max: " + spread(shares))
    print("CPU seconds, parse_files / bare isal: " + spread(bare_cpu))
    print("CPU seconds, pandas / parse_files: " + spread(cpu))
    print("wall seconds, pandas / parse_files: " + spread(wall))
    return cpu


def memory(sizes_bytes: list[int], directory: Path) -> float:
    """Print the peaks; return that of the largest size over that of the smallest."""
    peaks = []
    for size in sizes_bytes:
        path = directory / "reviews.json.gz"
        n_bytes = generate(path, size, FIXED_USERS, FIXED_ITEMS)
        cost = in_child("benchmarks.parse", "_ours", str(path))
        peaks.append(cost.peak_bytes)
        print(
            f"{n_bytes / MB:,.0f} MB of JSON: peak {cost.peak_bytes / MB:,.0f} MB, {cost.cpu_s:.1f} CPU s", flush=True
        )
    print(f"ratio of peaks, largest / smallest file: {peaks[-1] / peaks[0]:.2f}")
    return peaks[-1] / peaks[0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("speed")
    one.add_argument("--mb", type=int, default=400)
    one.add_argument("--pairs", type=int, default=5)
    one.add_argument("--file", type=Path, help="a .gz file of reviews instead of a generated one")
    commands.add_parser("memory").add_argument("--mb", type=int, nargs="+", default=[100, 2000])
    works = {"_ours": _ours, "_pandas": _pandas, "_isal": _isal}
    for name in works:
        commands.add_parser(name).add_argument("path", type=Path)
    given = parser.parse_args()
    if given.command in works:
        report(works[given.command](given.path))
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.command == "speed":
            path, n_lines = given.file or Path(folder) / "reviews.json.gz", given.mb * MB // LINE_BYTES
            if not given.file:
                generate(path, given.mb * MB, n_lines // LINES_A_USER, n_lines // LINES_AN_ITEM)
            speed(path, given.pairs)
        else:
            memory(sorted(size * MB for size in given.mb), Path(folder))


if __name__ == "__main__":
    main()
