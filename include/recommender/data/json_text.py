"""Strict JSON (RFC 8259, in UTF-8) in compiled functions, each of which passes one piece of a text.

`at` is an address. The text ends in a line feed, which is part of no value, so no loop runs beyond it. Functions return
where the piece that they pass ends, or NOT.
"""

from __future__ import annotations

from .instructions import LAST, byte, lowest, special
from .kernels import kernel

NOT = -1
_MOST_LEVELS = 60


@kernel
def blanks(at: int) -> int:
    """The first position that is no blank, tab or carriage return."""
    while byte(at) == 0x20 or byte(at) == 0x09 or byte(at) == 0x0D:
        at += 1
    return at


@kernel
def string(at: int) -> int:
    """The position of the quote that ends a string whose text begins at `at`, or NOT."""
    while True:
        at = plain(at)
        first = byte(at)
        if first == 0x22:
            return at
        if first == 0x5C:
            at = _escape(at)
        elif first >= 0x80:
            at = _character(at)
        else:
            return NOT
        if at < 0:
            return NOT


@kernel
def plain(at: int) -> int:
    """The first position that is a quote, a backslash, a control or not ASCII."""
    bits = special(at)
    while bits == 0:
        at = (at | LAST) + 1
        bits = special(at)
    return at + lowest(bits)


@kernel
def _escape(at: int) -> int:
    """The position after an escape, or NOT. Half of a surrogate pair is no character."""
    first = byte(at + 1)
    if first != 0x75:
        known = first in (0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74)
        return at + 2 if known else NOT
    code = _four(at + 2)
    if code < 0 or 0xDC00 <= code < 0xE000:
        return NOT
    if code < 0xD800 or code >= 0xE000:
        return at + 6
    if byte(at + 6) != 0x5C or byte(at + 7) != 0x75:
        return NOT
    return at + 12 if 0xDC00 <= _four(at + 8) < 0xE000 else NOT


@kernel
def _four(at: int) -> int:
    """The value of four hexadecimal digits, or NOT."""
    value = 0
    for place in range(at, at + 4):
        first = byte(place)
        if 0x30 <= first <= 0x39:
            value = value * 16 + first - 0x30
        elif 0x41 <= (first & 0xDF) <= 0x46:
            value = value * 16 + (first & 0xDF) - 0x37
        else:
            return NOT
    return value


@kernel
def _character(at: int) -> int:
    """The position after a character of two to four bytes, or NOT. The bounds are those of RFC 3629, section 4."""
    first, second = byte(at), byte(at + 1)
    if 0xC2 <= first <= 0xDF:
        return at + 2 if _continues(second) else NOT
    if 0xE0 <= first <= 0xEF:
        low, high = 0xA0 if first == 0xE0 else 0x80, 0x9F if first == 0xED else 0xBF
        return at + 3 if low <= second <= high and _continues(byte(at + 2)) else NOT
    if 0xF0 <= first <= 0xF4:
        low, high = 0x90 if first == 0xF0 else 0x80, 0x8F if first == 0xF4 else 0xBF
        if low <= second <= high and _continues(byte(at + 2)) and _continues(byte(at + 3)):
            return at + 4
    return NOT


@kernel
def _continues(each: int) -> bool:
    return 0x80 <= each <= 0xBF


@kernel
def digits(at: int) -> int:
    """The position after the decimal digits from `at` on; `at` if there are none."""
    while 0x30 <= byte(at) <= 0x39:
        at += 1
    return at


@kernel
def number(at: int) -> int:
    """The position after a number, or NOT."""
    begin = at + 1 if byte(at) == 0x2D else at
    at = digits(begin)
    if at == begin or (byte(begin) == 0x30 and at > begin + 1):
        return NOT
    if byte(at) == 0x2E:
        begin, at = at + 1, digits(at + 1)
        if at == begin:
            return NOT
    if byte(at) == 0x65 or byte(at) == 0x45:
        begin = at + 2 if byte(at + 1) == 0x2B or byte(at + 1) == 0x2D else at + 1
        at = digits(begin)
        if at == begin:
            return NOT
    return at


@kernel
def literal(at: int) -> int:
    """The position after true, false or null, or NOT."""
    if byte(at) == 0x74 and byte(at + 1) == 0x72 and byte(at + 2) == 0x75 and byte(at + 3) == 0x65:
        return at + 4
    if byte(at) == 0x6E and byte(at + 1) == 0x75 and byte(at + 2) == 0x6C and byte(at + 3) == 0x6C:
        return at + 4
    if byte(at) == 0x66 and byte(at + 1) == 0x61 and byte(at + 2) == 0x6C and byte(at + 3) == 0x73:
        return at + 5 if byte(at + 4) == 0x65 else NOT
    return NOT


@kernel
def scalar(at: int) -> int:
    """The position after a string, number or literal, or NOT."""
    first = byte(at)
    if first == 0x22:
        end = string(at + 1)
        return NOT if end < 0 else end + 1
    if first == 0x2D or 0x30 <= first <= 0x39:
        return number(at)
    return literal(at)


@kernel
def value(at: int) -> int:
    """The position after a value, or NOT."""
    if byte(at) != 0x7B and byte(at) != 0x5B:
        return scalar(at)
    return _nested(at)


@kernel
def _nested(at: int) -> int:
    """The position after an array or object. Bit k of `objects` says whether the level k is an object."""
    objects, level = 0, 0
    while True:
        if byte(at) == 0x7B or byte(at) == 0x5B:
            level += 1
            if level > _MOST_LEVELS:
                return NOT
            is_object = byte(at) == 0x7B
            objects = objects | (1 << level) if is_object else objects & ~(1 << level)
            at = blanks(at + 1)
            if not _closes(at, is_object):
                at = _member(at, is_object)
                if at < 0:
                    return NOT
                continue
        else:
            at = scalar(at)
        at, level = _after(at, objects, level)
        if at < 0 or level == 0:
            return at


@kernel
def _after(at: int, objects: int, level: int) -> tuple[int, int]:
    """The position of the next value after one that ends at `at`, or of the end; and its level, 0 for the end."""
    while at >= 0 and level:
        at = blanks(at)
        is_object = objects >> level & 1 == 1
        if byte(at) == 0x2C:
            return _member(blanks(at + 1), is_object), level
        at = at + 1 if _closes(at, is_object) else NOT
        level -= 1
    return at, level


@kernel
def _closes(at: int, is_object: bool) -> bool:
    return byte(at) == (0x7D if is_object else 0x5D)


@kernel
def _member(at: int, is_object: bool) -> int:
    """The position of a value of an object, whose key begins at `at`, or of an array; or NOT."""
    return _key(at) if is_object else at


@kernel
def _key(at: int) -> int:
    """The position of the value after a key and its colon, or NOT."""
    end = string(at + 1) if byte(at) == 0x22 else NOT
    if end < 0:
        return NOT
    at = blanks(end + 1)
    return blanks(at + 1) if byte(at) == 0x3A else NOT
