"""Find the fields of regular review lines in a compiled loop; all other lines are left to `layouts.parse_line`.

A line is regular where its meaning is beyond doubt: strict JSON (RFC 8259, in UTF-8), the fields of one layout, each
once, with plain ids and numbers. `parse_line` defines what a line means, and gives the same for each regular line.

`at` is an address; see `json_text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .instructions import LAST, byte, line_feeds, lowest
from .json_text import NOT, blanks, digits, literal, plain, value
from .kernels import Bytes, Longs, kernel
from .layouts import MAX_ID_BYTES, UNKNOWN
from .numerals import EARLIEST_S, LATEST_S, MAX_RATING

# The older layouts have the even fields, that of 2023 the odd ones.
_NAMES = (
    *("reviewerID", "user_id", "asin", "parent_asin", "unixReviewTime", "timestamp"),
    *("overall", "rating", "verified", "verified_purchase"),
)
_N, _VERIFIED = len(_NAMES), 8
_OLD_USER, _NEW_USER_OR_ITEM = 1, 2 | 8
_OLD_NEEDED, _NEW_NEEDED = 1 | 4 | 16 | 64, 2 | 8 | 32 | 128
_LONGEST = max(map(len, _NAMES))
_LENGTHS = np.array([len(name) for name in _NAMES])
_KEYS = np.array([list(name.encode().ljust(_LONGEST)) for name in _NAMES], np.uint8)
_TIME_DIGITS, _RATING_DIGITS = 18, 15
# Quotients of whole numbers below 2**53 and powers of ten up to 22 are the nearest float64: what `float` gives.
_POWERS = 10.0 ** np.arange(_RATING_DIGITS + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """The lines of a block, and the fields of the regular ones, which are rows.

    begins : int64, shape (n_lines + 1,), where each line begins
    regular : bool, shape (n_lines,)
    users, items : the ids of the rows: int64 offsets, shape (n_rows + 1,), and their text
    times : int64, shape (n_rows,), seconds since 1970 UTC
    ratings : float32, shape (n_rows,)
    verified : int8, shape (n_rows,)
    newer : bool, shape (n_rows,), whether the layout is that of 2023
    """

    begins: Longs
    regular: np.ndarray[Any, np.dtype[np.bool_]]
    users: tuple[Longs, Bytes]
    items: tuple[Longs, Bytes]
    times: Longs
    ratings: np.ndarray[Any, np.dtype[np.float32]]
    verified: np.ndarray[Any, np.dtype[np.int8]]
    newer: np.ndarray[Any, np.dtype[np.bool_]]


def count_line_feeds(data: bytes | memoryview) -> int:
    """How many line feeds there are."""
    return _count(np.frombuffer(data, np.uint8)) if len(data) else 0


@kernel
def _count(data: Bytes) -> int:
    n = 0
    for each in data:
        n += each == 0x0A
    return n


def scan(data: bytes | memoryview, n_lines: int) -> Scanned:
    """Scan the lines of `data`, which ends in a line feed."""
    begins, regular = np.empty(n_lines + 1, np.int64), np.empty(n_lines, np.bool_)
    users, items = np.empty((n_lines + 1, 2), np.int64), np.empty((n_lines + 1, 2), np.int64)
    times, ratings = np.empty(n_lines, np.int64), np.empty(n_lines, np.float32)
    verified, newer = np.empty(n_lines, np.int8), np.empty(n_lines, np.bool_)
    # The address holds as long as `data`, which outlives this call.
    first = int(np.frombuffer(data, np.uint8).ctypes.data)
    n = _scan(first, begins, regular, (users, items, times, ratings, verified, newer))
    return Scanned(
        begins=begins,
        regular=regular,
        users=_texts(users[: n + 1]),
        items=_texts(items[: n + 1]),
        times=times[:n],
        ratings=ratings[:n],
        verified=verified[:n],
        newer=newer[:n],
    )


def _texts(places: Longs) -> tuple[Longs, Bytes]:
    """Offsets and text of some ids, of which the places are known: the end of each here, and its address."""
    offsets, text = places[:, 0].copy(), np.empty(places[-1, 0], np.uint8)
    _copy(places, text)
    return offsets, text


@kernel
def _copy(places: Longs, text: Bytes) -> None:
    """`places` are those that `_keep` sets: the end of each text, and after it where the next one is."""
    for row in range(len(places) - 1):
        begin, source = places[row]
        for at in range(begin, places[row + 1, 0]):
            text[at] = byte(source + at - begin)


@kernel
def _scan(first: int, begins: Longs, regular: Any, columns: Any) -> int:
    """Return the number of rows. `first` is the address of the text, as are all `at`.

    `columns` are those of `Scanned`, of the ids their places: row k has where text k begins in the result, and its
    address.
    """
    fields = np.zeros((_N, 2), np.int64)
    columns[0][0, 0] = columns[1][0, 0] = 0
    at, row = first, 0
    for line in range(len(regular)):
        begins[line] = at - first
        end = _line(at, fields, columns, row)
        regular[line] = end >= 0
        row += end >= 0
        at = (end if end >= 0 else _line_feed(at)) + 1
    begins[len(regular)] = at - first
    return row


@kernel
def _line_feed(at: int) -> int:
    """The position of the next line feed."""
    bits = line_feeds(at)
    while bits == 0:
        at = (at | LAST) + 1
        bits = line_feeds(at)
    return at + lowest(bits)


@kernel
def _line(at: int, fields: Longs, columns: Any, row: int) -> int:
    """Set a row of the columns from a line; return the position of its line feed, or NOT if it is not regular."""
    at = blanks(at)
    if byte(at) != 0x7B:
        return NOT
    seen = 0
    while True:
        begin = blanks(at + 1) + 1
        if byte(begin - 1) != 0x22:
            return NOT
        end = plain(begin)
        # A key with an escape might be one of ours, spelled otherwise.
        if byte(end) != 0x22:
            return NOT
        at = blanks(end + 1)
        if byte(at) != 0x3A:
            return NOT
        at = blanks(at + 1)
        field = _field(begin, end - begin)
        if field < 0:
            at = value(at)
        else:
            # Of a key that is given twice the last one counts: too rare to be done here.
            at = NOT if seen >> field & 1 else _read(at, field, fields[field])
            seen |= 1 << field
        if at < 0:
            return NOT
        at = blanks(at)
        if byte(at) != 0x2C:
            break
    if byte(at) != 0x7D:
        return NOT
    at = blanks(at + 1)
    return at if byte(at) == 0x0A and _keep(seen, fields, columns, row) else NOT


@kernel
def _field(begin: int, length: int) -> int:
    """The number of the field of this key, or NOT."""
    for field in range(_N):
        if length == _LENGTHS[field]:
            same = True
            for at in range(length):
                same = same and byte(begin + at) == _KEYS[field, at]
            if same:
                return field
    return NOT


@kernel
def _read(at: int, field: int, pair: Longs) -> int:
    """Set the pair of a field from its value; return the position after it, or NOT if it is not plain."""
    if field < 4:
        return _id(at, pair)
    if field < 6:
        return _time(at, pair)
    if field < _VERIFIED:
        return _rating(at, pair)
    end = literal(at)
    pair[0] = byte(at) == 0x74
    return end if byte(at) != 0x6E else NOT


@kernel
def _id(at: int, pair: Longs) -> int:
    """The pair: where the text begins, and its length. All characters are visible ASCII."""
    if byte(at) != 0x22:
        return NOT
    begin = at + 1
    at = begin
    while 0x20 < byte(at) < 0x7F and byte(at) != 0x22 and byte(at) != 0x5C:
        at += 1
    pair[0], pair[1] = begin, at - begin
    return at + 1 if byte(at) == 0x22 and 0 < at - begin <= MAX_ID_BYTES else NOT


@kernel
def _whole(begin: int, end: int) -> int:
    value = 0
    for at in range(begin, end):
        value = value * 10 + byte(at) - 0x30
    return value


@kernel
def _time(at: int, pair: Longs) -> int:
    """The pair: seconds, 0. Milliseconds are divided: the two ranges do not overlap."""
    end = digits(at)
    if byte(at) == 0x30 or end - at > _TIME_DIGITS:
        return NOT
    value = _whole(at, end)
    pair[0] = value // 1000 if value >= EARLIEST_S * 1000 else value
    return end if EARLIEST_S <= pair[0] < LATEST_S else NOT


@kernel
def _rating(at: int, pair: Longs) -> int:
    """The pair: all digits as one number, and how many of them are decimals."""
    end = digits(at)
    if end - at != 1:
        return NOT
    pair[0], pair[1] = byte(at) - 0x30, 0
    if byte(end) == 0x2E:
        begin = end + 1
        end = digits(begin)
        pair[1] = end - begin
        if not 0 < pair[1] < _RATING_DIGITS:
            return NOT
        pair[0] = int(pair[0] * _POWERS[pair[1]]) + _whole(begin, end)
    return end


@kernel
def _keep(seen: int, fields: Longs, columns: Any, row: int) -> bool:
    """Set a row of the columns from the fields that were seen; return whether they are all those of one layout."""
    users, items, times, ratings, verified, newer = columns
    new = 1 if seen & _NEW_USER_OR_ITEM else 0
    needed = _NEW_NEEDED if new else _OLD_NEEDED
    if seen & needed != needed or (new and seen & _OLD_USER):
        return False
    rating = fields[6 + new, 0] / _POWERS[fields[6 + new, 1]]
    if rating > MAX_RATING:
        return False
    users[row, 1], users[row + 1, 0] = fields[new, 0], users[row, 0] + fields[new, 1]
    items[row, 1], items[row + 1, 0] = fields[2 + new, 0], items[row, 0] + fields[2 + new, 1]
    newer[row] = new == 1
    times[row], ratings[row] = fields[4 + new, 0], rating
    verified[row] = fields[_VERIFIED + new, 0] if seen >> (_VERIFIED + new) & 1 else UNKNOWN
    return True
