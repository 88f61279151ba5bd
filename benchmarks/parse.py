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
import tempfile
from pathlib import Path

from isal import igzip

from ._timing import Cost, in_child, measure, report, spread
from .reviews import write

MB = 1_000_000
LINE_BYTES = 520
FLOOR_READ_BYTES = 1 << 15
READ_BYTES = 1 << 18


def generate(path: Path, size_bytes: int, unit_bytes: int = 0) -> int:
    """Write generated reviews, about so many bytes of JSON; return how many.

    Parameters
    ----------
    unit_bytes : repeat so many bytes as often as needed, so that users and items stay the same; 0 repeats nothing
    """
    made = write(path, (unit_bytes or size_bytes) // LINE_BYTES)
    n_copies = max(1, round(size_bytes / made.json_bytes)) if unit_bytes else 1
    member = path.read_bytes()
    with path.open("ab") as out:
        for _ in range(n_copies - 1):
            out.write(member)  # a gzip file may have several members (RFC 1952, 2.2)
    return made.json_bytes * n_copies


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
        n_bytes = generate(path, size, sizes_bytes[0])
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
            path = given.file or Path(folder) / "reviews.json.gz"
            if not given.file:
                generate(path, given.mb * MB)
            speed(path, given.pairs)
        else:
            memory(sorted(size * MB for size in given.mb), Path(folder))


if __name__ == "__main__":
    main()
