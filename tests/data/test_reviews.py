"""Parsing: three layouts, mixtures, and every kind of bad line or file."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.recommender.config import ParseConfig
from include.recommender.data.interactions import ITEMS, QUARANTINE, USERS, Reviews, load_ids, parse_files
from include.recommender.data.lines import Block, read_blocks
from include.recommender.data.reviews import parse_block
from include.recommender.errors import DataError

OLD = {"reviewerID": "U1", "asin": "0001", "overall": 5.0, "unixReviewTime": 1_400_000_000}
NEW = {"user_id": "U2", "parent_asin": "B2", "rating": 4.0, "timestamp": 1_600_000_000_123, "verified_purchase": False}


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parse(data: bytes):
    return parse_block(Block(1, data))


def test_each_layout_is_recognised_by_its_fields():
    parsed = parse(lines(OLD, {**OLD, "verified": True}, NEW))
    assert parsed.layouts == {"2014": 1, "2018": 1, "2023": 1}
    assert parsed.columns.users == ["U1", "U1", "U2"]
    assert parsed.columns.items == ["0001", "0001", "B2"]
    assert parsed.columns.times == [1_400_000_000, 1_400_000_000, 1_600_000_000]
    assert parsed.columns.verified == [-1, 1, 0]


@given(st.lists(st.sampled_from([OLD, {**OLD, "verified": True}, NEW]), min_size=1, max_size=20))
def test_fast_and_slow_path_agree(rows):
    fast, slow = parse(lines(*rows)), parse(lines(*rows, {"asin": 1}))
    assert fast.columns == slow.columns
    assert fast.layouts == slow.layouts
    assert len(slow.bad) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**OLD, "asin": None}, "asin is missing or null"),
        ({**OLD, "reviewerID": ""}, "reviewerID is missing or null"),
        ({**OLD, "asin": 1234}, "asin is not a string"),
        ({**OLD, "overall": 9}, "overall is not between 0 and 5"),
        ({**OLD, "overall": "five"}, "overall is not a number"),
        ({**OLD, "unixReviewTime": 5}, "unixReviewTime is not a time"),
        ({**OLD, "verified": "maybe"}, "verified is not true or false"),
        ({"text": "hello"}, "no known layout"),
        ([1, 2], "not a JSON object"),
    ],
)
def test_bad_line_is_quarantined_with_its_reason(row, reason):
    parsed = parse(lines(OLD, row, OLD))
    assert len(parsed.columns.users) == 2
    assert [(bad.line, bad.reason.startswith(reason)) for bad in parsed.bad] == [(2, True)]


def test_lenient_values():
    parsed = parse(lines({**OLD, "overall": "4.0", "unixReviewTime": "1400000000000"}))
    assert (parsed.columns.ratings, parsed.columns.times) == ([4.0], [1_400_000_000])


def test_windows_line_ends_blank_lines_and_missing_last_newline():
    parsed = parse(lines(OLD).replace(b"\n", b"\r\n") + b"\r\n\n" + lines(OLD)[:-1])
    assert (len(parsed.columns.users), parsed.n_blank, parsed.n_lines) == (2, 2, 4)


def write(path: Path, data: bytes) -> list[tuple[str, Path]]:
    path.write_bytes(data)
    return [(path.name, path)]


def test_byte_order_mark_and_several_gzip_members(tmp_path):
    data = gzip.compress(b"\xef\xbb\xbf" + lines(OLD)) + gzip.compress(lines(NEW))
    counts = parse_files(write(tmp_path / "a.json.gz", data), tmp_path, ParseConfig())
    assert (counts["reviews"], counts["bad"]) == (2, 0)


@pytest.mark.parametrize("damage", ["truncate", "flip", "garbage", "not gzip"])
def test_damaged_gzip_is_refused_by_name(tmp_path, damage):
    whole = gzip.compress(lines(*[{**OLD, "asin": f"{n:04}"} for n in range(2000)]), mtime=0)
    middle = len(whole) // 2
    data = {
        "truncate": whole[:middle],
        "flip": whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
        "garbage": whole + b"garbage",
        "not gzip": b"<html>error</html>",
    }[damage]
    with pytest.raises(DataError, match=r"reviews\.json\.gz"):
        parse_files(write(tmp_path / "reviews.json.gz", data), tmp_path, ParseConfig())


def test_gzip_bomb_is_refused(tmp_path):
    files = write(tmp_path / "bomb.json.gz", gzip.compress(b" " * (80 << 20)))
    with pytest.raises(DataError, match="unpacks to more than"):
        parse_files(files, tmp_path, ParseConfig(max_line_bytes=200 << 20))


def test_over_long_line_is_quarantined_and_the_rest_read(tmp_path):
    data = lines(OLD) + b"x" * (20 << 20) + b"\n" + lines(NEW) * 200
    counts = parse_files(write(tmp_path / "a.json", data), tmp_path, ParseConfig())
    assert (counts["reviews"], counts["bad"], counts["reasons"]) == (201, 1, {"line too long": 1})


def test_too_many_bad_lines_name_the_commonest_reasons(tmp_path):
    with pytest.raises(DataError, match=r"50\.00%.*not JSON \(1\)"):
        parse_files(write(tmp_path / "a.json", lines(OLD) + b"{oops\n"), tmp_path, ParseConfig())
    assert b"not JSON" in gzip.decompress((tmp_path / QUARANTINE).read_bytes())


def test_empty_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="not one usable review"):
        parse_files(write(tmp_path / "a.json", b""), tmp_path, ParseConfig())


def test_codes_are_ranks_of_sorted_ids_whatever_the_order(tmp_path):
    rows = [
        {**OLD, "reviewerID": f"U{n % 7}", "asin": f"{n % 5:04}", "unixReviewTime": 1_400_000_000 + n}
        for n in range(40)
    ]
    seen = []
    for order in (rows, rows[::-1]):
        parse_files(write(tmp_path / "a.json", lines(*order)), tmp_path, ParseConfig())
        users, items = load_ids(tmp_path / USERS).to_pylist(), load_ids(tmp_path / ITEMS).to_pylist()
        reviews = Reviews.load(tmp_path)
        seen.append(
            {(users[u], items[i], int(t)) for u, i, t in zip(reviews.user, reviews.item, reviews.time, strict=True)}
        )
        assert users == sorted(users)
        assert items == ["0000", "0001", "0002", "0003", "0004"]
    assert seen[0] == seen[1] == {(r["reviewerID"], r["asin"], r["unixReviewTime"]) for r in rows}


@given(st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b), max_size=50))
def test_blocks_hold_every_line_once(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("lines") / "a.json"
    data = b" " + b"".join(row + b"\n" for row in rows)  # the blank keeps it from starting like gzip
    path.write_bytes(data)
    blocks = list(read_blocks(path, max_line_bytes=1024, max_expansion=10))
    assert b"".join(block.data for block in blocks).rstrip(b"\n") == data.rstrip(b"\n")
