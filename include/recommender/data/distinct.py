"""The distinct ids of a column, sorted, in compiled loops over their text.

Each distinct id is copied once, beside those that came with it: what is compared often lies close together.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pyarrow as pa

from ..prefetch import prefetch
from .kernels import Bytes, Codes, Longs, inlined, kernel

Words = np.ndarray[Any, np.dtype[np.uint64]]
State = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
# So few ids are sorted by comparing them.
_FEW = 16
_AT_ONCE = 32
_LEAST_SLOTS = 1 << 12
_WORD = 8
_TAG = np.uint64(0xFFFFFFFF00000000)
_CODE = np.uint64(0x00000000FFFFFFFF)
_ONE, _EIGHT, _ALL = np.uint64(1), np.uint64(8), np.uint64(64)
# "somepseudorandomlygeneratedbytes", and what marks the end of the words (SipHash, Aumasson and Bernstein 2012).
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_START_0, _START_1, _START_2, _START_3 = map(np.uint64, _START)
_END, _LENGTH_AT = np.uint64(0xFF), np.uint64(56)
_LEFT_13, _LEFT_16, _LEFT_17, _LEFT_21, _LEFT_32 = map(np.uint64, (13, 16, 17, 21, 32))
# The key of the hashes: without it nobody can choose ids whose hashes collide. No result depends on it.
_KEY = np.frombuffer(secrets.token_bytes(16), np.uint64)


def ranked(values: pa.LargeStringArray) -> tuple[Codes, pa.LargeStringArray]:
    """Position of each id among the sorted distinct ids, int32, shape (len(values),); and these ids.

    There are fewer than 2**31 values. The time is bounded by the bytes of the ids and n log n, whatever the ids are.
    """
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    codes, ends = np.empty(len(values), np.int32), np.zeros(len(values) + 1, np.int64)
    ids = np.empty(bounds[-1] - bounds[0], np.uint8)
    n = _number(text, bounds, _KEY, codes, ids, ends)
    order = _sorted(ids, ends[: n + 1])
    ranks = np.empty(n, np.int32)
    ranks[order] = np.arange(n, dtype=np.int32)
    found = pa.LargeStringArray.from_buffers(n, pa.py_buffer(ends), pa.py_buffer(ids))
    return ranks[codes], found.take(pa.array(order))


@kernel
def _number(text: Bytes, bounds: Longs, key: Words, codes: Codes, ids: Bytes, ends: Longs) -> int:
    """Number the ids in the order of their first rows, and copy each once; return how many there are.

    A slot holds the upper half of the hash of an id, and its number plus one; 0 is an empty one.
    """
    slots, hashes = np.zeros(_LEAST_SLOTS, np.uint64), np.empty(len(codes), np.uint64)
    mixed = np.empty(_AT_ONCE, np.uint64)
    n = 0
    for start in range(0, len(codes), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(codes))
        mask = np.uint64(len(slots) - 1)
        # All slots of some rows are asked for before the first is read: memory answers them side by side.
        for row in range(start, stop):
            mixed[row - start] = _hash(text, bounds[row], bounds[row + 1], key)
            prefetch(slots, mixed[row - start] & mask)
        for row in range(start, stop):
            number = slots[mixed[row - start] & mask] & _CODE
            prefetch(ends, number)
        for row in range(start, stop):
            number = slots[mixed[row - start] & mask] & _CODE
            if number:
                prefetch(ids, np.uint64(ends[number - _ONE]))
        for row in range(start, stop):
            each = mixed[row - start]
            at = _slot(slots, each, text[bounds[row] : bounds[row + 1]], ids, ends)
            if slots[at] == 0:
                ids[ends[n] : ends[n] + bounds[row + 1] - bounds[row]] = text[bounds[row] : bounds[row + 1]]
                ends[n + 1] = ends[n] + bounds[row + 1] - bounds[row]
                hashes[n] = each
                n += 1
                slots[at] = each & _TAG | np.uint64(n)
            codes[row] = np.int64(slots[at] & _CODE) - 1
        if 2 * n + 2 * _AT_ONCE >= len(slots):
            slots = _placed(hashes, n, 4 * len(slots))
    return n


@inlined
def _slot(slots: Words, mixed: np.uint64, wanted: Bytes, ids: Bytes, ends: Longs) -> np.uint64:
    """The slot of an id, or the empty one where it belongs."""
    at, mask = mixed & np.uint64(len(slots) - 1), np.uint64(len(slots) - 1)
    while slots[at] != 0:
        if (slots[at] ^ mixed) & _TAG == 0:
            number = np.int64(slots[at] & _CODE) - 1
            same = ends[number + 1] - ends[number] == len(wanted)
            place = 0
            while same and place < len(wanted):
                same = wanted[place] == ids[ends[number] + place]
                place += 1
            if same:
                break
        at = (at + _ONE) & mask
    return at


@kernel
def _placed(hashes: Words, n: int, size: int) -> Words:
    """The slots of the numbers below `n`."""
    slots, mask = np.zeros(size, np.uint64), np.uint64(size - 1)
    for number in range(n):
        at = hashes[number] & mask
        while slots[at] != 0:
            at = (at + _ONE) & mask
        slots[at] = hashes[number] & _TAG | np.uint64(number + 1)
    return slots


@inlined
def _hash(text: Bytes, begin: int, end: int, key: Words) -> np.uint64:
    """SipHash-1-3 of an id, uint64; `key` has shape (2,)."""
    state = (key[0] ^ _START_0, key[1] ^ _START_1, key[0] ^ _START_2, key[1] ^ _START_3)
    # The last word holds the bytes that are left, fewer than eight, and the length.
    for at in range(begin, end + 1, _WORD):
        word = _word(text, at, end, True)
        if at + _WORD > end:
            word |= np.uint64(end - begin) << _LENGTH_AT
        state = _round((state[0], state[1], state[2], state[3] ^ word))
        state = (state[0] ^ word, state[1], state[2], state[3])
    state = _round(_round(_round((state[0], state[1], state[2] ^ _END, state[3]))))
    return state[0] ^ state[1] ^ state[2] ^ state[3]


@inlined
def _round(state: State) -> State:
    a, b, c, d = state
    a, c = a + b, c + d
    b, d = _turned(b, _LEFT_13) ^ a, _turned(d, _LEFT_16) ^ c
    a, c = _turned(a, _LEFT_32) + d, c + b
    b, d = _turned(b, _LEFT_17) ^ c, _turned(d, _LEFT_21) ^ a
    return a, b, _turned(c, _LEFT_32), d


@inlined
def _turned(word: np.uint64, left: np.uint64) -> np.uint64:
    return word << left | word >> (_ALL - left)


@inlined
def _word(text: Bytes, at: int, end: int, little: bool) -> np.uint64:
    """Eight bytes as a number, uint64; after the end they are 0. If not `little`, it orders as they do."""
    found = np.uint64(0)
    if at + _WORD <= end:
        for place in range(_WORD):
            found = found << _EIGHT | np.uint64(text[at + _WORD - 1 - place if little else at + place])
        return found
    for place in range(_WORD):
        each = at + _WORD - 1 - place if little else at + place
        found = found << _EIGHT
        if each < end:
            found |= np.uint64(text[each])
    return found


@kernel
def _sorted(text: Bytes, bounds: Longs) -> Longs:
    """The order of some distinct ids: int64, shape (len(bounds) - 1,).

    Ids are sorted by eight bytes at a time; those that are still equal by the next eight. Those that differ only in
    NULs at their ends are sorted by their lengths.
    """
    order = np.arange(len(bounds) - 1)
    keys = np.empty(len(order), np.uint64)
    spare, spare_keys = np.empty_like(order), np.empty_like(keys)
    waiting = np.empty((len(order) // _FEW + 2, 3), np.int64)
    waiting[0] = 0, len(order), 0
    n = 1
    while n:
        n -= 1
        begin, end, depth = waiting[n]
        _set_keys(text, bounds, order[begin:end], depth, keys[begin:end])
        _sort_by_key(keys[begin:end], order[begin:end], spare_keys, spare)
        start = begin
        for place in range(begin + 1, end + 1):
            if place < end and keys[place] == keys[start]:
                continue
            if place - start > _FEW:
                waiting[n] = start, place, depth + _WORD
                n += 1
            else:
                _insert(text, bounds, order[start:place], depth + _WORD)
            start = place
    return order


@kernel
def _set_keys(text: Bytes, bounds: Longs, order: Longs, depth: int, keys: Words) -> None:
    """The eight bytes of each id at a depth, or its length where no id reaches so far."""
    longest = 0
    for row in order:
        longest = max(longest, bounds[row + 1] - bounds[row])
    for place, row in enumerate(order):
        begin, end = bounds[row], bounds[row + 1]
        keys[place] = _word(text, min(begin + depth, end), end, False) if depth < longest else np.uint64(end - begin)


@kernel
def _sort_by_key(keys: Words, order: Longs, spare_keys: Words, spare: Longs) -> None:
    """A merge sort from below: n log n whatever the keys are, and n where they are sorted."""
    for begin in range(0, len(keys), _FEW):
        for place in range(begin + 1, min(begin + _FEW, len(keys))):
            key, row, at = keys[place], order[place], place
            while at > begin and key < keys[at - 1]:
                keys[at], order[at] = keys[at - 1], order[at - 1]
                at -= 1
            keys[at], order[at] = key, row
    width = _FEW
    while width < len(keys):
        for begin in range(0, len(keys) - width, 2 * width):
            if keys[begin + width] < keys[begin + width - 1]:
                end = min(begin + 2 * width, len(keys))
                _merge(keys[begin:end], order[begin:end], width, spare_keys, spare)
        width *= 2


@kernel
def _merge(keys: Words, order: Longs, middle: int, spare_keys: Words, spare: Longs) -> None:
    """Merge two sorted parts in their place. The first one moves aside: it is never overtaken."""
    for at in range(middle):
        spare_keys[at], spare[at] = keys[at], order[at]
    left, right, at = 0, middle, 0
    while left < middle and right < len(keys):
        if keys[right] < spare_keys[left]:
            keys[at], order[at] = keys[right], order[right]
            right += 1
        else:
            keys[at], order[at] = spare_keys[left], spare[left]
            left += 1
        at += 1
    while left < middle:
        keys[at], order[at] = spare_keys[left], spare[left]
        left, at = left + 1, at + 1


@kernel
def _insert(text: Bytes, bounds: Longs, order: Longs, depth: int) -> None:
    """Sort a few ids that are equal in their first `depth` bytes, where a missing byte counts as 0."""
    for place in range(1, len(order)):
        moved = order[place]
        at = place
        while at and _less(text, bounds, moved, order[at - 1], depth):
            order[at] = order[at - 1]
            at -= 1
        order[at] = moved


@kernel
def _less(text: Bytes, bounds: Longs, row: int, other: int, depth: int) -> bool:
    length, other_length = bounds[row + 1] - bounds[row], bounds[other + 1] - bounds[other]
    for at in range(depth, min(length, other_length)):
        byte, other_byte = text[bounds[row] + at], text[bounds[other] + at]
        if byte != other_byte:
            return bool(byte < other_byte)
    return bool(length < other_length)
