"""Ratings as CSV into review lines of the 2018 layout, so that other real sets can be tried.

A first line of column names is recognised, and decides which column is which unless --columns is given. Columns that
are not used are named `-`. Without a `rating` all get 5. Times are seconds or milliseconds since 1970, one of them in
a file. Files may be packed with gzip; of a folder all files are read that end in .csv, .tsv, .csv.gz or .tsv.gz.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from isal import igzip

from include.recommender.config import ParseConfig
from include.recommender.data.file_names import CSV_ENDINGS, ENDINGS, ending
from include.recommender.data.formats import BOM
from include.recommender.data.layouts import parse_line
from include.recommender.data.lines import read_blocks
from include.recommender.data.numerals import EARLIEST_S, Unusable
from include.recommender.errors import ConfigError, DataError, RecommenderError
from include.recommender.plain_text import shown, shown_lines
from include.recommender.storage.scratch import scratch_file

from .given import Found, Given, of_path, once, regular_file, warn_left_out
from .home import say

EXAMPLE = """\
example: the official ratings of 2018 (item, user, rating, seconds), then a run on them
  python -m local.ratings Electronics.csv Electronics.jsonl.gz --columns item,user,rating,time
  make run REVIEWS=Electronics.jsonl.gz
"""
DEFAULT = ("user", "item", "rating", "time")
NEEDED, KNOWN = {"user", "item", "time"}, {*DEFAULT, "-"}
EXPECTED = "Expected ratings: CSV in UTF-8, one rating a line."
# What columns are called in public sets, without their underscores and capitals.
NAMES = {
    "user": {"user", "userid", "reviewerid", "reviewer", "customerid", "uid", "username", "profileid"},
    "item": {"item", "itemid", "asin", "parentasin", "productid", "product", "movieid", "iid", "bookid", "isbn"},
    "rating": {"rating", "overall", "score", "stars", "starrating", "stars/5", "ratings", "bookrating"},
    "time": {"time", "timestamp", "unixreviewtime", "unixtime", "ts", "reviewtime", "unixtimestamp"},
}
FIELDS = {"reviewerID": "user", "asin": "item", "overall": "rating", "unixReviewTime": "time"}
MAX_CELL_CHARS = 131_072
PROGRESS_EVERY_S = 5.0
UNITS = {False: "seconds", True: "milliseconds"}


@dataclass(frozen=True)
class Table:
    """How a file is read. `columns` None means: by its first line, else DEFAULT."""

    delimiter: str
    columns: tuple[str, ...] | None = None


def _lines(file: Given) -> Iterator[str]:
    """The lines of a file, packed or not, as text. Raises DataError, naming the line that is not UTF-8."""
    config = ParseConfig()
    blocks = read_blocks(
        file.path,
        max_line_bytes=config.max_line_bytes,
        max_expansion=config.max_expansion,
        name=file.name,
        expected=EXPECTED,
    )
    for block in blocks:
        if block.too_long:
            raise DataError(f"{_at(file, block.first_line)}: longer than {config.max_line_bytes:,} bytes. {EXPECTED}")
        for number, line in block.lines():
            try:
                yield (line.removeprefix(BOM) if number == 1 else line).decode() + "\n"
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{_at(file, number)}: not UTF-8 (byte 0x{line[error.start]:02x}). Convert it, for example: "
                    "iconv -f LATIN1 -t UTF-8"
                ) from None


def _at(file: Given, number: int) -> str:
    return f"{shown(file.name)}, line {number}"


def _cells(file: Given, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that is not blank, and the line where it begins."""
    csv.field_size_limit(MAX_CELL_CHARS)
    rows = csv.reader(_lines(file), delimiter=delimiter, strict=True)
    while True:
        begins = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{_at(file, begins)}: {_why(str(error))}") from error
        if any(cell.strip() for cell in cells):
            yield begins, cells


def _why(error: str) -> str:
    if "unexpected end of data" in error or "field larger" in error:
        return "a quote (\") is opened and not closed. Close it, or remove all quotes: tr -d '\"'"
    if "new-line character" in error:
        return "a lone carriage return ends its lines. Convert them: tr '\\r' '\\n'"
    return f"not CSV: {error}. Check its quotes"


def reviews(file: Given, table: Table) -> Iterator[dict[str, object]]:
    """The ratings of a file as reviews.

    Raises
    ------
    DataError
        A line that is no rating by the rules of the parser, which are those for reviews.
    """
    columns, unit = table.columns, None
    for n, (number, cells) in enumerate(_cells(file, table.delimiter)):
        if n == 0:
            found = _head(file, cells, table)
            columns = found or columns or DEFAULT
            if found:
                continue
        assert columns is not None
        row = _row(file, number, cells, columns, table.delimiter)
        if unit is None:
            unit = _is_milliseconds(row)
        review = _review(file, number, row)
        if _is_milliseconds(row) != unit:
            raise DataError(
                f"{_at(file, number)}: its time {shown(row['time'])} is in {UNITS[not unit]}, those before are in "
                f"{UNITS[unit]}. Bring one of them in a file"
            )
        yield review
    if unit is not None:
        say(f"{shown(file.name)}: times are in {UNITS[unit]}; columns are {','.join(columns or ())}", "ratings")


def _head(file: Given, cells: list[str], table: Table) -> tuple[str, ...] | None:
    """What a first line of column names says; None if it is a rating."""
    names = tuple(_column(cell) for cell in cells)
    known = [name for name in names if name != "-"]
    if set(known) >= NEEDED:
        if table.columns is None and len(known) != len(set(known)):
            raise DataError(f"{_at(file, 1)}: two columns for the same: {_quoted(cells)}. Say which with --columns")
        contradicts = table.columns is not None and any(
            said not in ("-", meant) and meant != "-" for said, meant in zip(names, table.columns, strict=False)
        )
        if contradicts:
            raise DataError(
                f"{_at(file, 1)}: its first line says {_quoted(cells)}, --columns says "
                f"{','.join(table.columns or ())}. Correct --columns, or leave it away"
            )
        return table.columns or names
    # No cell of a rating's line is free of digits in both its time and its rating.
    columns = table.columns or DEFAULT
    if len(cells) != len(columns):
        return None
    row = dict(zip(columns, cells, strict=True))
    if re.search(r"\d", row["time"] + row.get("rating", "")):
        return None
    say(f"{shown(file.name)}: {_quoted(cells)} is taken for column names, in the order {','.join(columns)}", "ratings")
    return columns


def _column(cell: str) -> str:
    plain = re.sub(r"[\s_-]", "", cell).lower()
    return next((column for column, names in NAMES.items() if plain in names), "-")


def _row(file: Given, number: int, cells: list[str], columns: tuple[str, ...], delimiter: str) -> dict[str, str]:
    if len(cells) != len(columns):
        raise DataError(
            f"{_at(file, number)}: {len(cells)} cells, not {len(columns)} ({','.join(columns)}): "
            f"{_quoted(cells, delimiter)}. Name all columns with --columns, or another --delimiter"
        )
    return {column: cell.strip(" \t") for column, cell in zip(columns, cells, strict=True)}


def _quoted(cells: list[str], delimiter: str = ",") -> str:
    return repr(delimiter.join(cells)[:80])


def _is_milliseconds(row: dict[str, str]) -> bool:
    try:
        return float(row["time"]) >= EARLIEST_S * 1000
    except ValueError:
        return False


def _review(file: Given, number: int, row: dict[str, str]) -> dict[str, object]:
    """The review that a row is; the parser's own rule decides, so that nothing is accepted here and lost there."""
    values = {field: row[column] for field, column in FIELDS.items() if column in row} | {"unixReviewTime": row["time"]}
    line = json.dumps({"overall": "5", **values})
    try:
        review = parse_line(line.encode())
    except Unusable as error:
        reason = str(error)
        for field, column in FIELDS.items():
            reason = reason.replace(field, column)
        cells = ", ".join(f"{column} {value[:80]!r}" for column, value in row.items() if column != "-")
        hint = _hint(row["time"]) if reason.startswith("time") else ""
        raise DataError(f"{_at(file, number)}: {reason} ({cells}){hint}") from None
    return {
        "overall": review.rating,
        "reviewerID": review.user,
        "asin": review.item,
        "unixReviewTime": review.time,
    }


def _hint(text: str) -> str:
    """What went wrong with a time, and what to do."""
    if re.search(r"[0-9][eE][+-]?[0-9]", text):
        return ". A spreadsheet wrote it with an exponent, and its seconds are lost: export it as a whole number"
    if re.search(r"[0-9][-/.: ][0-9]", text) and not re.fullmatch(r"-?[0-9.]+", text):
        return ". Write dates as seconds since 1970"
    return ""


def write(out: TextIO, file: Given, table: Table) -> int:
    """Write the ratings of a file as reviews; return how many. Raises DataError, naming the line."""
    n, last = 0, time.monotonic()
    for n, review in enumerate(reviews(file, table), 1):
        out.write(json.dumps(review, ensure_ascii=False) + "\n")
        if time.monotonic() - last > PROGRESS_EVERY_S:
            last = time.monotonic()
            say(f"{shown(file.name)}: {n:,} ratings so far", "ratings")
    say(f"{shown(file.name)}: {n:,} ratings" if n else f"WARNING: {shown(file.name)} holds no rating", "ratings")
    return n


def convert(files: Sequence[Given], out: Path, table: Table) -> int:
    """Write the ratings of all files into one file of reviews; return how many.

    The file appears when all is written; one that was there before stays where this fails.

    Raises
    ------
    DataError
        A line is no rating, or there is none at all.
    """
    with scratch_file(out) as partial:
        with igzip.open(partial, "wt", encoding="utf-8") as opened:
            n = sum(write(opened, file, _by_name(file, table)) for file in files)
        if not n:
            raise DataError(f"{', '.join(shown(file.name) for file in files)}: not one rating. {EXPECTED}")
        partial.chmod(0o644)
        partial.replace(out)
    return n


def _by_name(file: Given, table: Table) -> Table:
    """Tabs between the cells of a .tsv, unless a delimiter is given."""
    tabs = not table.delimiter and ending(file.name, (".tsv", ".tsv.gz"))
    return replace(table, delimiter="\t" if tabs else table.delimiter or ",")


def find_ratings(paths: Sequence[Path], out: Path) -> list[Given]:
    """The files to read, each once.

    Raises
    ------
    ConfigError
        One is not there, is no file, or is where the reviews go; or a folder holds no CSV.
    """
    files: list[Given] = []
    for path in paths:
        if path.is_dir():
            found = of_path(path, CSV_ENDINGS)
            warn_left_out(found.left, CSV_ENDINGS)
        else:
            found = Found([regular_file(path, path.name)])
        if not found.files:
            raise ConfigError(f"{shown(str(path))}: holds no file that ends in {', '.join(CSV_ENDINGS)}")
        files += found.files
    for file in files:
        if out.exists() and out.samefile(file.path):
            raise ConfigError(f"{shown(str(out))}: is read and written to. Name another file for the reviews, last")
    return once(files)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m local.ratings",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("ratings", nargs="+", type=Path, help="CSV files or folders of them")
    parser.add_argument("out", type=Path, help="the file of reviews to write, in .jsonl.gz or .json.gz")
    parser.add_argument("--columns", default="", help="in their order (by the first line, else user,item,rating,time)")
    parser.add_argument("--delimiter", default="", help="one character (a comma, in .tsv a tab)")
    given = parser.parse_args(arguments)
    try:
        table = Table(_delimiter(given.delimiter), _columns(given.columns))
        _check_out(given.out)
        n = convert(find_ratings(given.ratings, given.out), given.out, table)
    except (RecommenderError, OSError) as error:
        parser.exit(1, f"Error: {shown_lines(str(error))}\n")
    print(f"{n:,} ratings: {shown(str(given.out))}")


def _columns(text: str) -> tuple[str, ...] | None:
    if not text:
        return None
    columns = tuple(text.split(","))
    used = [column for column in columns if column != "-"]
    if not NEEDED <= set(columns) <= KNOWN:
        raise ConfigError(
            f"--columns {shown(text)}: expected user, item and time, perhaps rating, and - for all others"
        )
    if len(used) != len(set(used)):
        raise ConfigError(f"--columns {shown(text)}: a column is named twice. Name those that are not used -")
    return columns


def _delimiter(text: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) > 1 or text in ('"', "\r", "\n"):
        raise ConfigError(f"--delimiter {shown(text)}: expected one character; change it first, as in sed 's/::/,/g'")
    return text


def _check_out(out: Path) -> None:
    """Refuse what no review file can be called; without this a forgotten OUT overwrites the last of the inputs."""
    packed = [each for each in ENDINGS if each.endswith(".gz")]
    if out.is_dir() or not ending(out.name, tuple(packed)):
        raise ConfigError(
            f"{shown(str(out))}: expected, as the last argument, the file of reviews to write, in {' or '.join(packed)}"
        )
    if not out.parent.is_dir():
        raise ConfigError(f"{shown(str(out.parent))}: there is no such folder. Make it first")


if __name__ == "__main__":
    main()
