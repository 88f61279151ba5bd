"""Parse one review line of any of the three official layouts; a bad line gets a reason.

2014: reviewerID, asin, overall, unixReviewTime. 2018 adds verified. 2023: user_id, parent_asin, rating, timestamp
(milliseconds), verified_purchase. A layout is recognised by a line's fields, so files may mix them.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from . import numerals
from .numerals import Unusable

UNKNOWN, UNVERIFIED, VERIFIED = -1, 0, 1

# Those of Amazon have 10 to 28; a UUID has 36, a SHA-512 in hexadecimal 128, an e-mail address at most 254.
MAX_ID_BYTES = 256
BOM = b"\xef\xbb\xbf"

_ABSENT = msgspec.Raw()


class Review(NamedTuple):
    """The fields that are kept of a line; `time` in seconds since 1970 UTC."""

    layout: str
    user: str
    item: str
    time: int
    rating: float
    verified: int


class _Fields(msgspec.Struct, gc=False):
    """The fields of all layouts, unread. Of a field that is given twice the last one counts."""

    reviewerID: msgspec.Raw = _ABSENT  # noqa: N815 (the field's name in the files)
    asin: msgspec.Raw = _ABSENT
    overall: msgspec.Raw = _ABSENT
    unixReviewTime: msgspec.Raw = _ABSENT  # noqa: N815
    verified: msgspec.Raw = _ABSENT
    user_id: msgspec.Raw = _ABSENT
    parent_asin: msgspec.Raw = _ABSENT
    rating: msgspec.Raw = _ABSENT
    timestamp: msgspec.Raw = _ABSENT
    verified_purchase: msgspec.Raw = _ABSENT


_decode = msgspec.json.Decoder(_Fields).decode
_decode_value = msgspec.json.Decoder().decode


def parse_line(line: bytes) -> Review:
    """Parse one line that is not blank, without its line feed.

    Raises
    ------
    Unusable
        The line is no review, or a field that is needed cannot be trusted.
    """
    row = _fields(line)
    newer = row.user_id is not _ABSENT or row.parent_asin is not _ABSENT
    if newer and row.reviewerID is not _ABSENT:
        raise Unusable("two layouts at once: reviewerID beside user_id or parent_asin")
    if newer:
        return Review(
            layout="2023",
            user=_identifier(row, "user_id"),
            item=_identifier(row, "parent_asin"),
            time=numerals.seconds(_numeral(row, "timestamp"), "timestamp"),
            rating=numerals.rating(_numeral(row, "rating"), "rating"),
            verified=_verified(row, "verified_purchase"),
        )
    if row.reviewerID is _ABSENT and row.asin is _ABSENT:
        raise Unusable("no known layout: neither reviewerID/asin nor user_id/parent_asin")
    return Review(
        layout="2014" if row.verified is _ABSENT else "2018",
        user=_identifier(row, "reviewerID"),
        item=_identifier(row, "asin"),
        time=numerals.seconds(_numeral(row, "unixReviewTime"), "unixReviewTime"),
        rating=numerals.rating(_numeral(row, "overall"), "overall"),
        verified=_verified(row, "verified"),
    )


def _fields(line: bytes) -> _Fields:
    try:
        line.decode()  # what is skipped is not checked by the decoder
    except UnicodeDecodeError:
        raise Unusable("not UTF-8") from None
    try:
        return _decode(line)
    except msgspec.ValidationError:
        raise Unusable("not a JSON object") from None
    except msgspec.DecodeError:
        raise Unusable("not JSON") from None
    except RecursionError:
        raise Unusable("nested too deeply") from None


def _value(row: _Fields, name: str) -> object:
    """The field's value: None if it is absent or null, raw bytes if it is neither text nor boolean."""
    raw: msgspec.Raw = getattr(row, name)
    if raw is _ABSENT:
        return None
    if bytes(raw)[:1] not in (b'"', b"t", b"f", b"n"):
        return bytes(raw)
    try:
        return _decode_value(raw)
    except msgspec.DecodeError:  # text that was skipped, not read
        raise Unusable("not JSON") from None


def _present(row: _Fields, name: str) -> object:
    value = _value(row, name)
    if value is None or value == "":
        raise Unusable(f"{name} is missing or null")
    return value


def _identifier(row: _Fields, name: str) -> str:
    value = _present(row, name)
    # A number has lost its leading zeros already, and would silently become another id.
    if not isinstance(value, str):
        raise Unusable(f"{name} is not a string")
    if value != value.strip() or not value.isprintable():
        raise Unusable(f"{name} has a blank at an end or an unprintable character")
    if len(value.encode()) > MAX_ID_BYTES:
        raise Unusable(f"{name} is longer than {MAX_ID_BYTES} bytes")
    return value


def _numeral(row: _Fields, name: str) -> str:
    """How a number is written, with or without quotes."""
    value = _present(row, name)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return value
    raise Unusable(f"{name} is not a number")


def _verified(row: _Fields, name: str) -> int:
    value = _value(row, name)
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return int(value.lower() == "true")
    raise Unusable(f"{name} is not true or false")
