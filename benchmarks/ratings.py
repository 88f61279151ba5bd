"""Ratings as CSV into review lines of the 2018 layout, so that other real sets can be tried.

    python -m benchmarks.ratings RATINGS.csv [MORE.csv ...] OUT.jsonl.gz --columns user,item,rating,time

Columns that are not used are named `-`. Without a `rating` all get 5; `time` is in seconds since 1970. A first line
whose time is no number is taken for a head. Nothing else is checked here: the parser will.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

from isal import igzip

NEEDED, KNOWN = {"user", "item", "time"}, {"user", "item", "rating", "time", "-"}


def rows(path: Path, columns: list[str], delimiter: str) -> Iterator[dict[str, str]]:
    """The lines of a file by column."""
    with path.open(newline="", encoding="utf-8") as file:
        for number, cells in enumerate(csv.reader(file, delimiter=delimiter)):
            row = dict(zip(columns, cells, strict=True))
            if number or row["time"].strip().isdecimal():
                yield row


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ratings", nargs="+", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", default="user,item,rating,time", help="(%(default)s)")
    parser.add_argument("--delimiter", default=",", help="(%(default)s)")
    given = parser.parse_args()
    columns = given.columns.split(",")
    if not NEEDED <= set(columns) <= KNOWN:
        parser.error(f"--columns {given.columns}: expected user, item and time, perhaps rating, and - for all others")
    n = 0
    with igzip.open(given.out, "wt") as out:
        for path in given.ratings:
            for row in rows(path, columns, given.delimiter):
                review = {
                    "overall": float(row.get("rating", 5)),
                    "reviewerID": row["user"].strip(),
                    "asin": row["item"].strip(),
                    "unixReviewTime": int(float(row["time"])),
                }
                out.write(json.dumps(review) + "\n")
                n += 1
    print(f"{n:,} ratings: {given.out}")


if __name__ == "__main__":
    main()
