"""What is decoded many lines at once means the same as line by line, whatever the lines are."""

import ctypes
import json
import mmap
import re
import signal
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.recommender.data import lines as reading
from include.recommender.data.decoding import parse_block, parse_each
from include.recommender.data.lines import BLOCK_BYTES, Block, read_blocks
from include.recommender.data.scanning import scan

from ..conftest import ROOT

OLD = {
    "overall": 5.0,
    "verified": True,
    "reviewTime": "09 4, 2015",
    "reviewerID": "A1B2C3D4E5F6G7",
    "asin": "0001234567",
    "style": {"Size:": " Big", "Color:": ' "Blue"'},
    "reviewText": 'Says {"asin": "B0"} \\ and "user_id": é\n\ttwice',
    "unixReviewTime": 1_441_324_800,
}
NEW = {
    "rating": 4.0,
    "title": "Good",
    "text": "It works.",
    "images": [{"small_image_url": "x"}],
    "asin": "B00000VARI",
    "parent_asin": "B00000PARE",
    "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ",
    "timestamp": 1_588_687_728_923,
    "helpful_vote": 0,
    "verified_purchase": False,
}
KEYS = sorted({*OLD, *NEW})
# Each is where JSON, UTF-8, our limits or msgspec draw a line.
VALUES = [
    *['""', '" A"', '"A "', '"A B"', '"A\\u0000"', '"\\u00a0A"', '"\\u200bA"', '"\\ud800"', '"é"', '"\\u00e9"'],
    *['"A\x7f"', '"' + "A" * 256 + '"', '"' + "A" * 257 + '"', '"' + "é" * 200 + '"'],
    *["null", "true", "false", '"true"', '"False"', '"yes"', "0", "1", "-0", "-0.0", "5", "5.0", "5.1", "05", "1E400"],
    *["1441324800", "1441324800.0", "1441324800.9", "1441324800123", "1441324800123.5", '"1441324800"', '"1.4e9"'],
    *["757382399", "757382400", "4102444799", "4102444800", "757382399999", "757382400000", "4102444800000"],
    *["1.4e9", "9" * 400, "NaN", "Infinity", "1.", ".5", "+1", "'a'", "[]", "{}", "[1,]", '{"asin": "Z"}'],
]  # fmt: skip
PIECES = [
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    b"\t",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\x00",
]
PIECES += [
    b"}\n{",
    b"} {",
    b"}\r{",
    b'"asin":',
    b'"as\\u0069n": "Z", ',
    b'"verified": null,',
    b'"user_id": "U",',
    b"\\ud83d",
]


def encoded(row: dict[str, object]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


@st.composite
def valued_line(draw):
    """A line with some values replaced, keys left out, doubled or added."""
    row = draw(st.sampled_from([OLD, {**OLD, "vote": "3"}, {k: v for k, v in OLD.items() if k != "verified"}, NEW]))
    pairs = [(key, json.dumps(value, ensure_ascii=False)) for key, value in row.items()]
    for _ in range(draw(st.integers(0, 2))):
        at, change = draw(st.integers(0, len(pairs) - 1)), draw(st.sampled_from(["value", "drop", "double", "order"]))
        key = pairs[at][0]
        if change == "value":
            pairs[at] = (key, draw(st.sampled_from(VALUES)))
        elif change == "drop" and len(pairs) > 1:
            del pairs[at]
        elif change == "double":
            pairs.append((draw(st.sampled_from(KEYS)), draw(st.sampled_from(VALUES))))
        else:
            pairs = draw(st.permutations(pairs))
    return ("{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in pairs) + "}").encode()


@st.composite
def broken_line(draw):
    """A line with bytes cut out, put in or changed, which may make it several lines."""
    line = encoded(draw(st.sampled_from([OLD, NEW])))
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(line)))
        end = min(len(line), begin + draw(st.sampled_from([0, 0, 0, 1, 2, 40])))
        line = line[:begin] + draw(st.sampled_from([*PIECES, b""])) + line[end:]
    return line


lines_of_all_kinds = st.lists(
    st.one_of(st.sampled_from([encoded(OLD), encoded(NEW)]), valued_line(), broken_line()), min_size=1, max_size=8
)


def outcome(parsed):
    """Everything that a parse says, the values of the rows included."""
    return parsed.rows.to_pylist(), parsed.bad, (parsed.n_lines, parsed.n_blank), dict(parsed.layouts)


@settings(max_examples=600, deadline=None)
@given(lines_of_all_kinds)
@example([b""])
@example([encoded(OLD) + b" " + encoded(OLD), b""])
@example([encoded({**OLD, "user_id": "U"})])
@example([encoded({**NEW, "reviewerID": "U"})])
@example([b'{"a": 1} ' + encoded(OLD), b"", encoded(OLD)])
@example([encoded(OLD) + b" " + encoded(OLD), b"{", b"}" + encoded(OLD)[1:]])
@example([encoded(OLD)[:-1] + b', "user_id": "U", "parent_asin": "P", "rating": 1, "timestamp": 1588687728923}'])
@example([encoded(OLD).replace(b"twice", b"\xff")])
@example([encoded({**OLD, "style": 1}).replace(b'"style": 1', b'"style": 1e999')])
@example([encoded({**OLD, "verified": None})])
def test_at_once_is_line_by_line(rows):
    block = Block.of(1, b"\n".join(rows) + b"\n")
    assert outcome(parse_block(block)) == outcome(parse_each(block))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([b"", b"{", encoded(NEW), b"\xef\xbb\xbf" + encoded(OLD)]), max_size=8), st.integers(0, 99)
)
def test_a_large_block_with_irregular_lines_keeps_order_and_numbers(irregular, shift):
    rows = [encoded({**OLD, "asin": f"{n:04}"}) for n in range(1280)]
    for n, line in enumerate(irregular):
        rows[(shift + n * 37) % len(rows)] = line
    block = Block.of(7, b"\n".join(rows) + b"\n")
    assert outcome(parse_block(block)) == outcome(parse_each(block))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(json_values, st.booleans(), st.integers(0, 99), st.sampled_from([b"", *PIECES]), st.integers(0, 2))
@example(["\U0001f600", "\ud7ff\ue000", "é", "\x7f"], False, 0, b"", 0)
@example([[[{"a": [{}, [], ""]}]]], True, 1, b"\\u12", 0)
def test_a_field_that_is_not_read_may_hold_any_json_and_nothing_else(value, escaped, at, piece, cut):
    text = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    place = at % (len(text) + 1)
    changed = text[:place] + piece + text[place + cut :]
    line = encoded({**OLD, "style": "@"}).replace(b'"@"', changed) + b"\n"
    block = Block.of(1, line)
    assert outcome(parse_block(block)) == outcome(parse_each(block))
    if changed == text and b"\\ud" not in text.lower() and not re.search(rb"[\xed][\xa0-\xbf]", text):
        assert scan(line, 1).regular.all()


@pytest.mark.parametrize("depth", [1, 59, 60, 61, 62, 200])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_regular_or_read_by_the_other_way(depth, opening, closing):
    line = encoded({**OLD, "style": "@"}).replace(b'"@"', opening * depth + b"1" + closing * depth) + b"\n"
    assert parse_block(Block.of(1, line)).rows.num_rows == 1
    assert scan(line, 1).regular[0] == (depth <= 60)
    assert parse_block(Block.of(1, line.replace(closing, b"", 1))).rows.num_rows == 0


@pytest.mark.parametrize("row", [OLD, {**OLD, "vote": "2"}, {k: v for k, v in OLD.items() if k != "verified"}, NEW])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_official_lines_are_regular(row, line_end):
    found = scan((encoded(row) + line_end) * 3, 3)
    assert found.regular.all()
    assert len(found.times) == 3


@settings(deadline=None)
@given(st.lists(st.binary(max_size=90).filter(lambda line: b"\n" not in line), max_size=50), st.integers(1, 70))
def test_blocks_hold_every_line_once(tmp_path_factory, rows, limit):
    path = tmp_path_factory.mktemp("lines") / "a.json"
    rows = [b"-" + row for row in rows]  # no byte order mark, no magic number
    path.write_bytes(b"\n".join(rows))
    blocks = list(read_blocks(path, max_line_bytes=limit, max_expansion=10))
    numbered = [line for block in blocks if not block.too_long for line in block.lines()]
    assert numbered == [(number, row) for number, row in enumerate(rows, 1) if len(row) <= limit]
    assert [block.first_line for block in blocks if block.too_long] == [
        number for number, row in enumerate(rows, 1) if len(row) > limit
    ]


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=90).filter(lambda line: b"\n" not in line), max_size=20),
    st.integers(1, 70),
    st.integers(8, 200),
)
@example([b"x" * 90, b"y" * 90], 20, 60)
def test_blocks_of_any_size_give_the_same_lines_and_excerpts(tmp_path_factory, rows, limit, block_bytes):
    path = tmp_path_factory.mktemp("lines") / "a.json"
    path.write_bytes(b"\n".join(b"-" + row for row in rows))
    found = []
    for size in (BLOCK_BYTES, block_bytes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "BLOCK_BYTES", size)
            blocks = list(read_blocks(path, max_line_bytes=limit, max_expansion=10))
        found.append([(each.first_line, bytes(each.data)) for each in blocks if each.too_long])
    assert found[0] == found[1]


# A page of the largest size that systems have, so that one that is locked begins where a text ends.
PAGE = 1 << 16
UNREADABLE = """
from tests.property.test_parse_paths import PAGE, before_a_locked_page
from include.recommender.data.instructions import byte
import numpy as np
from numba import njit
view = before_a_locked_page(b"{" * 64)
read = njit(lambda at: byte(at))
first = np.frombuffer(view, np.uint8).ctypes.data
print(read(first + 63), flush=True)
read(first + 64)
"""


@cache
def locked_page():
    """Memory of which the last page cannot be read: its first part."""
    memory = mmap.mmap(-1, 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + PAGE
    assert ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0) == 0
    return memoryview(memory)[:PAGE]


def before_a_locked_page(text):
    """The same text where it ends with the memory that can be read."""
    place = locked_page()[PAGE - len(text) :]
    place[:] = text
    return place


linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is locked otherwise")


@linux
@settings(max_examples=400, deadline=None)
@given(lines_of_all_kinds, st.integers(0, 300))
@example([b""], 0)
@example([b"{"], 0)
@example([b'{"'], 0)
@example([encoded(OLD), encoded(NEW)[:-1]], 0)
def test_nothing_is_read_behind_a_block(rows, cut):
    text = b"\n".join(rows)
    text = text[: max(0, len(text) - cut)] + b"\n"
    assert outcome(parse_block(Block.of(1, before_a_locked_page(text)))) == outcome(parse_each(Block.of(1, text)))


@linux
def test_a_read_behind_a_block_would_end_the_process():
    done = subprocess.run([sys.executable, "-c", UNREADABLE], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("123\n", -signal.SIGSEGV)
