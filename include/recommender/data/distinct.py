"""The distinct ids of a column, sorted, in compiled loops over their text.

Each distinct id is copied once, beside those that came with it: what is compared often lies close together.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .kernels import Bytes, Codes, Longs, inlined, instruction, kernel

Words = np.ndarray[Any, np.dtype[np.uint64]]
# So few ids are sorted by comparing them.
_FEW = 16
_AT_ONCE = 32
_LEAST_SLOTS = 1 << 12
_WORD = 8
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_TAG = np.uint64(0xFFFFFFFF00000000)
_CODE = np.uint64(0x00000000FFFFFFFF)
_ONE, _EIGHT = np.uint64(1), np.uint64(8)
# Nobody can write ids whose hashes collide. No result depends on it.
_SEED = np.uint64(secrets.randbits(64))


def ranked(values: pa.LargeStringArray) -> tuple[Codes, pa.LargeStringArray]:
    """Position of each id among the sorted distinct ids, int32, shape (len(values),); and these ids.

    There are fewer than 2**31 values, and no id has a NUL.
    """
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    codes, ends = np.empty(len(values), np.int32), np.zeros(len(values) + 1, np.int64)
    ids = np.empty(bounds[-1] - bounds[0], np.uint8)
    n = _number(text, bounds, _SEED, codes, ids, ends)
    order = _sorted(ids, ends[: n + 1])
    ranks = np.empty(n, np.int32)
    ranks[order] = np.arange(n, dtype=np.int32)
    found = pa.LargeStringArray.from_buffers(n, pa.py_buffer(ends), pa.py_buffer(ids))
    return ranks[codes], found.take(pa.array(order))


@instruction
def prefetch(_typing: Any, data: Any, _at: Any) -> Any:
    """Ask for an element of an array; it need not exist."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(context.make_array(signature.args[0])(context, builder, values[0]).data, [values[1]])
        place = builder.bitcast(place, ir.IntType(8).as_pointer())
        bit = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, bit, bit, bit])
        insert: Callable[..., Any] = cgutils.get_or_insert_function
        function = insert(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, bit(0), bit(3), bit(1)])
        return context.get_dummy_value()

    return types.void(data, types.uint64), build


@kernel
def _number(text: Bytes, bounds: Longs, seed: np.uint64, codes: Codes, ids: Bytes, ends: Longs) -> int:
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
            mixed[row - start] = _hash(text, bounds[row], bounds[row + 1], seed)
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
def _hash(text: Bytes, begin: int, end: int, seed: np.uint64) -> np.uint64:
    mixed = np.uint64(end - begin) * _FACTOR ^ seed
    for at in range(begin, end, _WORD):
        mixed = (mixed ^ _word(text, at, end)) * _FACTOR
        mixed ^= mixed >> _HALF
    mixed *= _FACTOR
    return mixed ^ mixed >> _HALF


@inlined
def _word(text: Bytes, at: int, end: int) -> np.uint64:
    """Eight bytes as a number that orders as they do, uint64; after the end they are 0."""
    found = np.uint64(0)
    if at + _WORD <= end:
        for place in range(at, at + _WORD):
            found = found << _EIGHT | np.uint64(text[place])
        return found
    for place in range(at, at + _WORD):
        found = found << _EIGHT
        if place < end:
            found |= np.uint64(text[place])
    return found


@kernel
def _sorted(text: Bytes, bounds: Longs) -> Longs:
    """The order of some ids: int64, shape (len(bounds) - 1,).

    Ids are sorted by eight bytes at a time; those that are still equal by the next eight.
    """
    order = np.arange(len(bounds) - 1)
    keys = np.empty(len(order), np.uint64)
    waiting = np.empty((len(order) // _FEW + 2, 3), np.int64)
    waiting[0] = 0, len(order), 0
    n = 1
    while n:
        n -= 1
        begin, end, depth = waiting[n]
        for place in range(begin, end):
            row = order[place]
            keys[place] = _word(text, min(bounds[row] + depth, bounds[row + 1]), bounds[row + 1])
        by_key = np.argsort(keys[begin:end])
        order[begin:end] = order[begin:end][by_key]
        keys[begin:end] = keys[begin:end][by_key]
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
def _insert(text: Bytes, bounds: Longs, order: Longs, depth: int) -> None:
    """Sort a few ids that are equal in their first bytes."""
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
