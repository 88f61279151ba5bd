"""What happens to each kind of odd input. The ids are those of the tables in docs/parsing.md."""

# ruff: noqa: E501 (tables)

import gzip
import json
import re
from pathlib import Path

import pytest

from include.recommender.data.reviews import QUARANTINE
from include.recommender.errors import DataError

from .foreign_files import FOREIGN
from .foreign_files import PACKED as PACKED_FOREIGN
from .review_files import MID, NEW, OLD, interactions, lines, parse

DOCS = Path(__file__).parents[2] / "docs" / "parsing.md"
USER, ITEM, TIME, RATING, VERIFIED = range(5)


def with_text(text: bytes) -> bytes:
    return json.dumps({**MID, "reviewText": "@"}).encode().replace(b"@", text)


# id: lines among others that are fine, and why they are quarantined.
QUARANTINED = {
    "line-not-json": ([b"{oops", b"U1,B1,5.0,1400000000", b"{'asin': 'B1'}"], "not JSON"),
    "line-nan": ([lines(OLD).rstrip().replace(b"5.0", b"NaN"), lines(OLD).rstrip().replace(b"5.0", b"-Infinity")], "not JSON"),
    "line-nul": ([with_text(b"\x00"), b"\x00" * 40], "not JSON"),
    "line-raw-control": ([with_text(b"\x01"), with_text(b"\t")], "not JSON"),
    "line-lone-surrogate": ([json.dumps({**OLD, "asin": "\ud800"}).encode()], "not JSON"),
    "line-not-utf8": ([with_text(b"caf\xe9"), with_text(b"\xed\xa0\x80")], "not UTF-8"),
    "line-not-object": ([b"[1, 2]", b"5", b'"text"', b"null"], "not a JSON object"),
    "line-two-objects": ([lines(OLD).rstrip() + b" " + lines(MID).rstrip(), lines(OLD).rstrip() * 2], "not JSON"),
    "line-lone-cr": ([lines(OLD).rstrip() + b"\r" + lines(MID).rstrip()], "not JSON"),
    "line-deep": ([with_text(b"@").replace(b'"@"', b"[" * 100_000 + b"]" * 100_000)], "nested too deeply"),
    "line-too-long": ([with_text(b"x" * (5 << 20)), b"y" * (9 << 20)], "line too long"),
    "line-no-layout": ([b"{}", {"text": "hello"}, {"nested": OLD}], "no known layout"),
    "line-two-layouts": ([{**OLD, **NEW}, {**OLD, "user_id": "U9"}, {**NEW, "reviewerID": "U9"}], "two layouts at once"),
    "field-missing": ([{k: v for k, v in OLD.items() if k != key} for key in OLD], r"\w+ is missing or null"),
    "field-null": ([{**OLD, key: value} for key in OLD for value in (None, "")], r"\w+ is missing or null"),
    "id-number": ([{**OLD, "asin": 1234}, {**OLD, "asin": True}, {**OLD, "asin": ["B1"]}], "asin is not a string"),
    "id-blank": ([{**OLD, "asin": v} for v in (" B1", "B1 ", " ", "B1\u00a0")], "asin has a blank at an end"),
    "id-control": ([{**OLD, "asin": v} for v in ("B\n1", "B\u00001", "B\u200b1", "B\x7f")], "asin has a blank at an end or an"),
    "id-too-long": ([{**OLD, "asin": "B" * 257}, {**OLD, "asin": "é" * 129}], "asin is longer than 256 bytes"),
    "time-not-number": ([{**OLD, "unixReviewTime": v} for v in (True, "five", "09 4, 2015", "nan", "1_400_000_000", "+1400000000", "01400000000", [1], {})],
                        "unixReviewTime is not a number"),
    "time-exponent": ([lines({**OLD, "unixReviewTime": "@"}).rstrip().replace(b'"@"', v) for v in (b"1.5001e+09", b"15001E5", b'"1.4E+09"')],
                      "unixReviewTime is not a time to the second: .* seconds are lost"),
    "time-out-of-range": ([{**OLD, "unixReviewTime": v} for v in (0, -1, 757_382_399, 4_102_444_800, 1_400_000_000_000_000, 10**400)],
                          "unixReviewTime is not a time between"),
    "rating-not-number": ([{**OLD, "overall": v} for v in (True, "five", "nan", "inf", [5])], "overall is not a number"),
    "rating-out-of-range": ([{**OLD, "overall": v} for v in (-1, 5.1, 10**400, "9")], "overall is not between 0 and 5"),
    "verified-unclear": ([{**OLD, "verified": v} for v in ("maybe", 1, "", [])], "verified is not true or false"),
}  # fmt: skip

# id: a line, and the interaction that comes of it.
KEPT = {
    "id-leading-zeros": ({**OLD, "asin": "0000012345"}, ITEM, "0000012345"),
    "id-unusual": ({**OLD, "asin": "Ä b/ü"}, ITEM, "Ä b/ü"),
    "key-escaped": (lines(OLD).rstrip().replace(b'"asin"', b'"as\\u0069n"'), ITEM, "0001"),
    "key-doubled": (lines(OLD).rstrip()[:-1] + b', "asin": "B9"}', ITEM, "B9"),
    "key-in-text": (with_text(b'\\"asin\\": \\"B9\\", {\\"user_id\\": 1}'), ITEM, "0001"),
    "key-nested": ({**OLD, "style": {"asin": "B9", "user_id": "U9"}}, ITEM, "0001"),
    "time-seconds": ({**NEW, "timestamp": 1_600_000_000}, TIME, 1_600_000_000),
    "time-milliseconds": ({**OLD, "unixReviewTime": 1_400_000_000_999}, TIME, 1_400_000_000),
    "time-fraction": ({**OLD, "unixReviewTime": 1_400_000_000.9}, TIME, 1_400_000_000),
    "time-string": ({**OLD, "unixReviewTime": "1400000000"}, TIME, 1_400_000_000),
    "rating-string": ({**OLD, "overall": "4.0"}, RATING, 4.0),
    "rating-exponent": (lines(OLD).rstrip().replace(b"5.0", b"4.5e+00"), RATING, 4.5),
    "rating-whole": ({**OLD, "overall": 4}, RATING, 4.0),
    "verified-string": ({**OLD, "verified": "True"}, VERIFIED, 1),
    "verified-null": ({**OLD, "verified": None}, VERIFIED, -1),
    "verified-missing": (OLD, VERIFIED, -1),
    "number-huge-elsewhere": (lines({**OLD, "style": 7}).rstrip().replace(b"7", b"1e999"), ITEM, "0001"),
}

PACKED, TEXT = gzip.compress(lines(*[OLD] * 500), mtime=0), lines(*[OLD] * 500)


def changed(data: bytes, at: int) -> bytes:
    """One byte inverted."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


# id: files that are refused, each beside one that is fine, and what the error says after the file's name.
REFUSED = {
    "gzip-truncated": ([PACKED[:n] for n in (2, 5, 12, len(PACKED) // 2, -8, -1)], "truncated"),
    "gzip-second-truncated": ([PACKED + PACKED[:n] for n in (2, 5, 12, len(PACKED) // 2, -8, -1)], "truncated"),
    "gzip-corrupt": ([changed(PACKED, len(PACKED) // 2)], "corrupt gzip data"),
    "gzip-crc": ([changed(PACKED, -8), changed(PACKED, -8) + PACKED, PACKED + changed(PACKED, -8)], "corrupt gzip data"),
    "gzip-length": ([changed(PACKED, -1), changed(PACKED, -1) + PACKED, PACKED + changed(PACKED, -1)], "corrupt gzip data"),
    "gzip-garbage": ([PACKED + b"garbage", PACKED + b"garbage" * 9, PACKED + b"\0" * 9 + b"garbage" * 9], "truncated|corrupt"),
    "gzip-garbage-like-gzip": ([PACKED + b"\x1f\x8b\x08\x00" + b"garbage" * 9, PACKED + b"\x1f\x8b"], "truncated|corrupt"),
    "gzip-bomb": ([gzip.compress(b" " * (80 << 20), 9)], "unpacks to more than 300 times"),
    "gzip-twice": ([gzip.compress(PACKED)], "gzip data packed twice"),
    "gz-of-no-bytes": ([b""], "does not start as gzip data"),
    "gz-not-gzip": ([TEXT, b"<html>error</html>"], "does not start as gzip data"),
    "format-array": ([b"[" + TEXT + b"]", b"\xef\xbb\xbf[\n" + TEXT, b" [1]"], "is one JSON array.*jq -c"),
    "format-csv": ([b"U1,B1,5.0,1400000000\n" * 9, b"user\titem\ttime\n"], "not one usable review.*looks like CSV"),
    "format-spread-json": ([json.dumps(OLD, indent=1).encode()], "not one usable review.*several lines"),
    "format-lone-cr": ([TEXT.replace(b"\n", b"\r")], "not one usable review.*lone carriage return"),
    "format-html": ([b"<!DOCTYPE html><p>404", b"<?xml version='1.0'?><Error/>"], "is HTML or XML"),
    "format-utf16": ([TEXT.decode().encode(code) for code in ("utf-16", "utf-16-le", "utf-16-be")], "is UTF-16 text.*iconv"),
    "format-utf32": ([TEXT.decode().encode("utf-32")], "is UTF-32 text.*iconv"),
    "format-packed": ([b"PK\x03\x04...", b"\x28\xb5\x2f\xfd...", b"BZh91AY&SY...", b"\xfd7zXZ\x00..."], "is (a zip|Zst|bzip2|xz)"),
    "format-parquet": ([b"PAR1....PAR1"], "is a Parquet file"),
    "file-without-review": ([b'{"a": 1}\n' * 3], r"not one usable review \(no known layout.* \(3\)\)"),
}  # fmt: skip

# id: whole files that are read, and how many reviews, blank lines and bad lines they hold.
READ = {
    "gzip-members": (PACKED + gzip.compress(b"") + gzip.compress(lines(NEW)), (501, 0, 0)),
    "gzip-zero-padding": (PACKED + b"\0" * 10_000, (500, 0, 0)),
    "gzip-under-another-name": (PACKED, (500, 0, 0)),
    "bom": (b"\xef\xbb\xbf" + TEXT, (500, 0, 0)),
    "bom-inside": (TEXT + b"\xef\xbb\xbf" + TEXT, (1000, 0, 0)),
    "bom-of-member": (PACKED + gzip.compress(b"\xef\xbb\xbf" + TEXT), (1000, 0, 0)),
    "windows-line-ends": (TEXT.replace(b"\n", b"\r\n") + b"\r\n", (500, 1, 0)),
    "blank-lines": (b"\n \t\n" + TEXT + b"\n\n" + TEXT, (1000, 4, 0)),
    "no-last-line-end": (TEXT[:-1], (500, 0, 0)),
    "mixed-layouts": (lines(*[OLD, MID, NEW] * 100), (300, 0, 0)),
    "repeated-lines": (lines(OLD, OLD, {**OLD, "overall": 1.0}), (3, 0, 0)),
}


def documented() -> set[str]:
    return set(re.findall(r"^\| `([a-z0-9-]+)` \|", DOCS.read_text(), re.MULTILINE))


def test_the_documented_kinds_are_those_that_are_tested():
    here = {*QUARANTINED, *KEPT, *REFUSED, *FOREIGN, *READ, "file-empty", "all-empty", "too-many-bad"}
    assert documented() == here


@pytest.mark.parametrize(("bad", "reason"), QUARANTINED.values(), ids=QUARANTINED)
def test_a_bad_line_is_quarantined_and_the_rest_kept(tmp_path, bad, reason):
    for row in bad:
        counts = parse(tmp_path, {"a.json": lines(*[MID] * 60, row, *[NEW] * 60)}, max_bad_share=0.5)
        (kept,) = gzip.decompress((tmp_path / QUARANTINE).read_bytes()).splitlines()
        quarantined = json.loads(kept)
        assert (counts["reviews"], counts["bad"], counts["lines"]) == (120, 1, 121)
        assert (quarantined["file"], quarantined["line"]) == ("a.json", 61)
        assert re.match(reason, quarantined["reason"])
        assert list(counts["reasons"]) == [quarantined["reason"]]


@pytest.mark.parametrize(("row", "column", "value"), KEPT.values(), ids=KEPT)
def test_an_unusual_value_is_kept(tmp_path, row, column, value):
    counts = parse(tmp_path, {"a.json": lines(row)})
    assert (counts["reviews"], counts["bad"]) == (1, 0)
    assert interactions(tmp_path)[0][column] == value


@pytest.mark.parametrize(("contents", "message"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, request, contents, message):
    packed = "gz" in request.node.callspec.id
    name = "reviews_9.json.gz" if packed else "reviews_9.json"
    for data in contents:
        with pytest.raises(DataError, match=rf"(?s)^reviews_9\.json(\.gz)?: .*({message})"):
            parse(tmp_path, {"fine.json": TEXT, name: data}, max_bad_share=1.0, max_line_bytes=200 << 20)


@pytest.mark.parametrize("name", ["reviews_9.json", "reviews_9.json.gz"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_named_packed_or_not(tmp_path, kind, name):
    contents, message = (PACKED_FOREIGN if name.endswith(".gz") else FOREIGN).get(kind, ([], ""))
    for data in contents:
        with pytest.raises(DataError, match=rf"(?s)^{re.escape(name)}: .*{message}"):
            parse(tmp_path, {"fine.json": TEXT, name: data}, max_bad_share=1.0)


@pytest.mark.parametrize(("data", "expected"), READ.values(), ids=READ)
def test_a_sound_file_is_read_whole(tmp_path, data, expected):
    counts = parse(tmp_path, {"a.json": data})
    assert (counts["reviews"], counts["blank"], counts["bad"]) == expected


@pytest.mark.parametrize("empty", [b"", b"\n\r\n \n", gzip.compress(b"")], ids=["no-bytes", "blank-lines", "packed"])
def test_an_empty_file_is_named_and_passed_over(tmp_path, caplog, empty):
    assert parse(tmp_path, {"a.json": empty, "b.json": TEXT})["reviews"] == 500
    assert "a.json is empty" in caplog.text


def test_nothing_but_empty_files_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"a\.json, b\.json: not one usable review \(no lines at all\)"):
        parse(tmp_path, {"a.json": b"", "b.json": b"\n"})


def test_too_many_bad_lines_name_the_commonest_reasons(tmp_path):
    with pytest.raises(DataError, match=r"^a\.json: 1 of 2 lines \(50\.00%\).*not JSON \(1\)"):
        parse(tmp_path, {"a.json": lines(OLD, b"{oops")})
    assert b"not JSON" in gzip.decompress((tmp_path / QUARANTINE).read_bytes())
