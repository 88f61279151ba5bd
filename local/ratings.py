"""Ratings as CSV into review lines of the 2018 layout, so that other real sets can be tried.

    python -m local.ratings RATINGS.csv [MORE.csv ...] OUT.jsonl.gz --columns user,item,rating,time

Columns that are not used are named `-`. Without a `rating` all get 5; `time` is in seconds since 1970. A first line
whose time is no number is taken for a head. Nothing else is checked here: the parser will.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from isal import igzip

NEEDED, KNOWN = {"user", "item", "time"}, {"user", "item", "rating", "time", "-"}


def rows(path: Path, columns: list[str], delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a file by column, with their numbers; blank ones are passed over.

    Raises
    ------
    ValueError
        A line has more or fewer cells than there are columns.
    """
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file, delimiter=delimiter)
        for cells in filter(None, lines):
            if len(cells) != len(columns):
                told, asked = delimiter.join(cells)[:80], ",".join(columns)
                raise ValueError(
                    f"{path}, line {lines.line_num}: {len(cells)} cells, not {len(columns)} ({asked}): {told!r}. "
                    "Name all columns with --columns, or another --delimiter"
                )
            row = dict(zip(columns, cells, strict=True))
            if lines.line_num > 1 or _is_number(row["time"]):
                yield lines.line_num, row


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write(out: TextIO, path: Path, columns: list[str], delimiter: str) -> int:
    """Write the lines of a file as reviews; return how many. Raises ValueError, naming the line."""
    n = 0
    for number, row in rows(path, columns, delimiter):
        try:
            review = {
                "overall": float(row.get("rating", 5)),
                "reviewerID": row["user"].strip(),
                "asin": row["item"].strip(),
                "unixReviewTime": int(float(row["time"])),
            }
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{path}, line {number}: {error}. Expected a number as rating and as time") from error
        out.write(json.dumps(review) + "\n")
        n += 1
    return n


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ratings", nargs="+", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", default="user,item,rating,time", help="(%(default)s)")
    parser.add_argument("--delimiter", default=",", help="(%(default)s)")
    given = parser.parse_args(arguments)
    columns = given.columns.split(",")
    if not NEEDED <= set(columns) <= KNOWN:
        parser.error(f"--columns {given.columns}: expected user, item and time, perhaps rating, and - for all others")
    if len(given.delimiter) != 1:
        parser.error(f"--delimiter {given.delimiter}: expected one character; change it first, as in sed 's/::/,/g'")
    # Beside its place, so that an earlier file stays where this one fails.
    partial = given.out.with_name(f".{given.out.name}.partial")
    try:
        with igzip.open(partial, "wt") as out:
            n = sum(write(out, path, columns, given.delimiter) for path in given.ratings)
        partial.replace(given.out)
    except ValueError as error:
        parser.error(str(error))
    finally:
        partial.unlink(missing_ok=True)
    print(f"{n:,} ratings: {given.out}")


if __name__ == "__main__":
    main()
