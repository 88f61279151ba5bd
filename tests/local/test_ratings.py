"""Ratings as CSV into review lines (local/ratings.py)."""

import gzip
import os
import re
from pathlib import Path

import pytest

from include.recommender.data.decoding import parse_block
from include.recommender.data.lines import Block
from local import ratings

ROWS = ["A1,B1,4.0,1404172800", "A2,B1,1.0,1404259200"]
READ = [("A1", "B1", 4.0, 1_404_172_800), ("A2", "B1", 1.0, 1_404_259_200)]
TEXT = "\n".join(ROWS) + "\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def convert(*arguments: str) -> list[tuple]:
    """What the parser makes of what was written: (user, item, rating, time)."""
    ratings.main([*arguments, "out.jsonl.gz"])
    rows = parse_block(Block.of(1, gzip.decompress(Path("out.jsonl.gz").read_bytes()))).rows.to_pylist()
    return [(row["user"], row["item"], row["rating"], row["time"]) for row in rows]


def refused(capsys, *arguments: str) -> str:
    """What is said where nothing was written, and what was there before stays."""
    before = sorted(os.listdir())
    with pytest.raises(SystemExit) as end:
        ratings.main([*arguments])
    assert end.value.code == 1
    assert sorted(os.listdir()) == before
    return capsys.readouterr().err


READABLE = {
    "plain": TEXT.encode(),
    "names": b"user,item,rating,timestamp\n" + TEXT.encode(),
    "mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "mark-and-names": b"\xef\xbb\xbfuserId,itemId,rating,timestamp\n" + TEXT.encode(),
    "other-order": b"rating,timestamp,parent_asin,user_id\n4.0,1404172800,B1,A1\n1.0,1404259200,B1,A2\n",
    "more-columns": b"reviewerID,title,asin,overall,unixReviewTime\nA1,t,B1,4,1404172800\nA2,,B1,1,1404259200\n",
    "unknown-names": b"a,b,c,d\n" + TEXT.encode(),
    "windows": TEXT.replace("\n", "\r\n").encode(),
    "blank-lines": b"\n , , ,\n" + TEXT.encode() + b"\n\n",
    "no-last-line-end": TEXT.rstrip().encode(),
    "quoted": b'"A1","B1","4.0","1404172800"\n"A2","B1","1.0","1404259200"\n',
    "blanks": b" A1 ,B1, 4.0,1404172800 \nA2, B1 ,1.0, 1404259200\n",
    "milliseconds": b"A1,B1,4.0,1404172800000\nA2,B1,1.0,1404259200999\n",
    "whole-floats": b"A1,B1,4,1404172800.0\nA2,B1,1.00,1404259200.0\n",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", READABLE)
def test_the_parser_reads_what_was_written(kind, packed):
    name = "ratings.csv.gz" if packed else "ratings.csv"
    Path(name).write_bytes(gzip.compress(READABLE[kind]) if packed else READABLE[kind])
    assert convert(name) == READ


def test_the_unit_of_the_times_and_the_columns_are_said_for_each_file(capsys):
    Path("s.csv").write_text(TEXT)
    Path("ms.csv").write_text("user_id,parent_asin,rating,timestamp\nA3,B1,5.0,1404172800123\n")
    assert len(convert("s.csv", "ms.csv")) == 3
    output = capsys.readouterr().out
    assert "s.csv: times are in seconds; columns are user,item,rating,time" in output
    assert "ms.csv: times are in milliseconds" in output
    assert "3 ratings: out.jsonl.gz" in output


def test_an_unknown_first_line_is_said_to_be_taken_for_names(capsys):
    Path("r.csv").write_text("a,b,c,d\n" + TEXT)
    assert len(convert("r.csv")) == 2
    assert "'a,b,c,d' is taken for column names, in the order user,item,rating,time" in capsys.readouterr().out


def test_columns_and_delimiters_can_be_given():
    Path("r.txt").write_text("B1|x|A1|1404172800\n")
    assert convert("r.txt", "--columns", "item,-,user,time", "--delimiter", "|") == [("A1", "B1", 5.0, 1_404_172_800)]
    Path("r.tsv").write_text("A1\tB1\t4\t1404172800\n")
    assert convert("r.tsv") == [("A1", "B1", 4.0, 1_404_172_800)]
    Path("q.csv").write_text('"A,1","B""1",4,1404172800\n')
    assert convert("q.csv") == [("A,1", 'B"1', 4.0, 1_404_172_800)]


BAD_LINES = {
    "too-few-cells": ("A3,B1,5.0", r"line 3: 3 cells, not 4 \(user,item,rating,time\): 'A3,B1,5.0'"),
    "no-time": ("A3,B1,5.0,never", r"line 3: time is not a number .*time 'never'"),
    "infinite": ("A3,B1,5.0,inf", "line 3: time is not a number"),
    "iso-date": ("A3,B1,5.0,2014-07-01", "line 3: time is not a number .*Write dates as seconds since 1970"),
    "american-date": ("A3,B1,5.0,07/01/2014", "line 3: time is not a number .*Write dates as seconds"),
    "exponent": ("A3,B1,5.0,1.4e+09", "line 3: time is not a time to the second.*its seconds are lost"),
    "negative": ("A3,B1,5.0,-5", "line 3: time is not a time between 1994 and 2100"),
    "microseconds": ("A3,B1,5.0,1404172800000000", "line 3: time is not a time between 1994 and 2100"),
    "mixed-units": (
        "A3,B1,5.0,1404172800000",
        "line 3: its time 1404172800000 is in milliseconds, those before",
    ),
    "no-rating": ("A3,B1,five,1404172800", "line 3: rating is not a number .*rating 'five'"),
    "rating-out-of-range": ("A3,B1,10,1404172800", "line 3: rating is not between 0 and 5"),
    "no-user": (",B1,5.0,1404172800", "line 3: user is missing"),
    "open-quote": ('"A3,B1,5.0,1404172800\nA4,B1,5.0,1404172800', r"line 3: a quote \(\"\) is opened and not closed"),
    "quote-closed-late": ('"A3,B1\n",B1,5.0,1404172800', "line 3: user has a blank at an end or an unprintable"),
    "after-a-quote": ('"A3"x,B1,5.0,1404172800', "line 3: not CSV: .*Check its quotes"),
    "escape": ("A\x1b[2J3,B1,5.0,1404172800", r"line 3: user has .*user 'A\\x1b\[2J3'"),
}


@pytest.mark.parametrize(("line", "expected"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_named_and_what_was_there_before_stays(capsys, line, expected):
    Path("ratings.csv").write_text(f"{TEXT}{line}\n")
    Path("out.jsonl.gz").write_bytes(b"earlier")
    output = refused(capsys, "ratings.csv", "out.jsonl.gz")
    assert "\x1b" not in output
    (found,) = [each for each in [output.partition("Error: ratings.csv, ")[2]] if each]
    assert re.match(expected, found), output
    assert Path("out.jsonl.gz").read_bytes() == b"earlier"


def test_a_long_open_quote_is_named_by_where_it_opens(capsys):
    Path("r.csv").write_text(TEXT + '"A3,B1,5.0,1404172800\n' + TEXT * 9_000)
    assert "r.csv, line 3: a quote" in refused(capsys, "r.csv", "out.jsonl.gz")


@pytest.mark.parametrize("first", ["A1,B1,4.0,2014-07-01", "A1,B1,4.0,never", "A1,B1,five,1404172800"])
def test_a_first_line_that_is_a_bad_rating_is_not_taken_for_names(capsys, first):
    Path("r.csv").write_text(f"{first}\n{TEXT}")
    assert "r.csv, line 1: " in refused(capsys, "r.csv", "out.jsonl.gz")


FILES = {
    "latin-1": (TEXT.encode() + "Müller,B1,4.0,1404172800\n".encode("latin-1"), r"line 3: not UTF-8 \(byte 0xfc\)"),
    "utf-16": (TEXT.encode("utf-16"), r"is UTF-16 text\. Convert it: iconv .*Expected ratings: CSV"),
    "zip": (b"PK\x03\x04" + bytes(99), "is a zip archive"),
    "xlsx": (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", "is an Excel or Office file"),
    "html": (b"<!DOCTYPE html>", "is HTML or XML"),
    "truncated": (gzip.compress(TEXT.encode())[:-9], "truncated"),
    "lone-carriage-returns": (TEXT.replace("\n", "\r").encode(), "line 1: a lone carriage return ends its lines"),
    "empty": (b"", "not one rating"),
    "names-only": (b"user,item,rating,time\n", "not one rating"),
    "two-users": (b"user_id,userId,item,rating,time\nA1,A2,B1,4,1404172800\n", "line 1: two columns for the same"),
}


@pytest.mark.parametrize(("data", "expected"), FILES.values(), ids=FILES)
def test_a_file_that_holds_no_ratings_is_named(capsys, data, expected):
    Path("r.csv").write_bytes(data)
    output = refused(capsys, "r.csv", "out.jsonl.gz")
    assert output.startswith("Error: r.csv")
    assert re.search(expected, output), output


def test_names_that_contradict_the_columns_are_refused(capsys):
    Path("r.csv").write_text("asin,user_id,rating,timestamp\nB1,A1,4,1404172800\n")
    output = refused(capsys, "r.csv", "out.jsonl.gz", "--columns", "user,item,rating,time")
    assert "line 1: its first line says 'asin,user_id,rating,timestamp', --columns says user,item,rating,time" in output
    assert convert("r.csv", "--columns", "item,user,rating,time") == convert("r.csv")


def _folder() -> None:
    Path("folder").mkdir()
    Path("folder/notes.md").touch()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["none.csv", "out.jsonl.gz"], "none.csv: cannot be read: No such file"),
        (["r.csv", "b.csv"], "b.csv: expected, as the last argument, the file of reviews to write"),
        (["r.csv", "folder"], "folder: expected, as the last argument"),
        (["r.csv", "none/out.jsonl.gz"], "none: there is no such folder"),
        (["in.json.gz", "in.json.gz"], "in.json.gz: is read and written to"),
        (["link.csv", "in.json.gz"], "in.json.gz: is read and written to"),
        (["folder", "out.jsonl.gz"], "folder: holds no file that ends in .csv, .tsv, .csv.gz, .tsv.gz"),
        (["pipe", "out.jsonl.gz"], "pipe: is a pipe, not a file"),
        (["r.csv", "out.jsonl.gz", "--columns", "user,user,item,time"], "a column is named twice"),
        (["r.csv", "out.jsonl.gz", "--columns", "user,item"], "expected user, item and time"),
        (["r.csv", "out.jsonl.gz", "--delimiter", "::"], "expected one character"),
        (["r.csv", "out.jsonl.gz", "--delimiter", '"'], "expected one character"),
    ],
)
def test_arguments_that_cannot_be_are_named_without_a_traceback(capsys, arguments, expected):
    for name in ("r.csv", "b.csv", "in.json.gz"):
        Path(name).write_text(TEXT)
    Path("link.csv").symlink_to("in.json.gz")
    os.mkfifo("pipe")
    _folder()
    assert expected in refused(capsys, *arguments)
    assert Path("b.csv").read_text() == Path("in.json.gz").read_text() == TEXT


def test_all_files_of_a_folder_are_read_and_the_others_named(capsys):
    for name in ("in/a.csv", "in/sub/b.csv.gz", "in/._a.csv", "in/notes.md", "in/c.json"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(gzip.compress(TEXT.encode()) if name.endswith(".gz") else TEXT.encode())
    assert convert("in", "in/a.csv") == READ * 2
    output = capsys.readouterr().out
    assert "left out: ._a.csv (names that begin with _ or ." in output
    assert "left out: c.json, notes.md (its name does not end in .csv" in output
    assert "in/a.csv is given 2 times, read once" in output
    assert "sub/b.csv.gz: 2 ratings" in output


def test_an_empty_file_beside_others_is_named(capsys):
    Path("a.csv").write_text(TEXT)
    Path("b.csv").touch()
    assert convert("a.csv", "b.csv") == READ
    assert "WARNING: b.csv holds no rating" in capsys.readouterr().out


def test_a_long_file_reports_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(ratings, "PROGRESS_EVERY_S", -1.0)
    Path("a.csv").write_text(TEXT)
    convert("a.csv")
    assert "a.csv: 1 ratings so far" in capsys.readouterr().out


def test_the_same_ratings_give_the_same_bytes(here):
    Path("a.csv").write_text(TEXT)
    ratings.main(["a.csv", "one.json.gz"])
    ratings.main(["a.csv", "two.json.gz"])
    one, two = (gzip.decompress(Path(name).read_bytes()) for name in ("one.json.gz", "two.json.gz"))
    assert one == two


def test_the_help_shows_an_example(capsys):
    with pytest.raises(SystemExit):
        ratings.main(["--help"])
    output = capsys.readouterr().out
    assert "python -m local.ratings Electronics.csv Electronics.jsonl.gz --columns item,user,rating,time" in output
    assert "make run REVIEWS=Electronics.jsonl.gz" in output
