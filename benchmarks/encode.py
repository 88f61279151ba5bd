"""Encoding against a sort of the same rows, and its memory.

    python -m benchmarks.encode [--reviews 5000000] [--pairs 3] [--repeats 0.02]

Generated coded reviews of the raw shape: 70 % of the users have one review, the mean is 2.1, items follow Zipf's law
with exponent .9, and some reviews repeat a pair. The reference is one `np.lexsort` of (user, item, time) over the same
rows, which is the first step of any de-duplication by sorting and does nothing else. Both read the same Parquet file.
CPU seconds of all threads, each run in a fresh process, in turn.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.recommender.config import EncodeConfig
from include.recommender.data.columns import CODED, GROUP_ROWS, GroupWriter
from include.recommender.data.encoding import encode
from include.recommender.data.reviews import REVIEWS, Reviews

from ._timing import Cost, in_child, measure, report, spread

SINGLE_SHARE, MEAN_REVIEWS, ITEM_SHARE, ITEM_EXPONENT = 0.7, 2.1, 0.077, 0.9
DAYS = 10_500, 17_700  # since 1970: October 1998 to June 2018
DAY_S = 86_400
GB = 1e9


def users_of(rng: np.random.Generator, n: int) -> np.ndarray:
    """User of each review, int32, shape (n,), in random order."""
    n_users = round(n / MEAN_REVIEWS)
    n_single = round(SINGLE_SHARE * n_users)
    # A heavy tail for the others, at least two each, scaled to the number of reviews that is left.
    tail = 2 + rng.pareto(1.6, n_users - n_single)
    counts = np.maximum(2, np.round(tail * (n - n_single) / tail.sum())).astype(np.int64)
    users = np.repeat(rng.permutation(n_users), np.concatenate([np.ones(n_single, np.int64), counts]))
    found = np.resize(users, n).astype(np.int32)
    rng.shuffle(found)
    return found


def items_of(rng: np.random.Generator, n: int, n_items: int) -> np.ndarray:
    """Item of each review, int32, shape (n,), by Zipf's law."""
    shares = np.cumsum(np.arange(1, n_items + 1) ** -ITEM_EXPONENT)
    names: np.ndarray = rng.permutation(n_items).astype(np.int32)
    found: np.ndarray = names[np.searchsorted(shares, rng.random(n) * shares[-1])]
    return found


def write(directory: Path, n: int, repeats: float, seed: int = 1) -> None:
    """Write reviews as `parse_files` does, without the ids."""
    rng = np.random.default_rng(seed)
    columns = {
        "user": users_of(rng, n),
        "item": items_of(rng, n, max(1, round(n / MEAN_REVIEWS * ITEM_SHARE))),
        "time": rng.integers(*DAYS, n) * DAY_S,
        "rating": rng.choice(np.array([1, 2, 3, 4, 5], np.float32), n, p=[0.1, 0.05, 0.08, 0.17, 0.6]),
        "verified": rng.choice(np.array([-1, 0, 1], np.int8), n, p=[0.01, 0.14, 0.85]),
    }
    again, first = rng.integers(0, n, (2, round(repeats * n)))
    for name in ("user", "item"):
        columns[name][again] = columns[name][first]
    with GroupWriter(directory / REVIEWS, CODED, GROUP_ROWS, dictionary=["item", "time", "rating", "verified"]) as out:
        for start in range(0, n, GROUP_ROWS):
            part = [pa.array(columns[name][start : start + GROUP_ROWS]) for name in CODED.names]
            out.write(pa.record_batch(part, schema=CODED))


def encoding(directory: Path) -> None:
    """The encoding of everything, as a run does it."""
    made = directory / "fold"
    made.mkdir(exist_ok=True)
    encode(Reviews.load(directory), DAYS[1] * DAY_S, EncodeConfig()).save(made)


def sorting(directory: Path) -> None:
    """The reference."""
    reviews = Reviews.load(directory)
    np.lexsort((reviews.time, reviews.item, reviews.user))


def _line(name: str, costs: list[Cost]) -> str:
    peak = max(cost.peak_bytes for cost in costs)
    return f"{name:10} CPU s {spread([cost.cpu_s for cost in costs])}, peak {peak / GB:.2f} GB"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encode", description=__doc__)
    parser.add_argument("--reviews", type=int, default=5_000_000)
    parser.add_argument("--pairs", type=int, default=3, help="runs of each")
    parser.add_argument("--repeats", type=float, default=0.02, help="share of reviews of a pair that is there already")
    parser.add_argument("--run", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        return report(measure(lambda: WORKS[given.run](given.directory)))
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.reviews, given.repeats)
        options = ("--directory", folder)
        pairs = [[in_child("benchmarks.encode", "--run", name, *options) for name in WORKS] for _ in range(given.pairs)]
    ours, reference = (list(costs) for costs in zip(*pairs, strict=True))
    print(f"{given.reviews:,} reviews; minimum / median / maximum of {given.pairs} runs")
    print(_line("encode", ours) + f", {max(cost.peak_bytes for cost in ours) / given.reviews:.0f} bytes a review")
    print(_line("np.lexsort", reference))
    ratios = [one.cpu_s / other.cpu_s for one, other in zip(ours, reference, strict=True)]
    print(f"encode / np.lexsort: {spread(ratios)}")


WORKS = {"encode": encoding, "lexsort": sorting}

if __name__ == "__main__":
    main()
