"""What compiled loops read at an address, 64 bytes at a time, as the processor has it and Python has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from .kernels import instruction

# The positions in 64 bytes end at this one.
LAST = 63
_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_TEXT = ir.VectorType(_BYTE, 64)


def _aligned(builder: Any, at: Any, wanted: Callable[[Any], Any]) -> Any:
    """Which bytes from `at` to the end of its 64 are wanted, one bit each. Aligned loads never reach another page."""
    begin = builder.and_(at, ir.Constant(_WORD, ~LAST))
    text = builder.load(builder.inttoptr(begin, _TEXT.as_pointer()), align=LAST + 1)
    return builder.lshr(builder.bitcast(wanted(text), _WORD), builder.and_(at, ir.Constant(_WORD, LAST)))


def _all(value: int) -> Any:
    return ir.Constant(_TEXT, [value] * (LAST + 1))


@instruction
def byte(_typing: Any, _at: Any) -> Any:
    """The byte at an address, int64."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.zext(builder.load(builder.inttoptr(values[0], _BYTE.as_pointer())), _WORD)

    return types.int64(types.int64), build


@instruction
def special(_typing: Any, _at: Any) -> Any:
    """Which bytes from an address to the end of its 64 are no plain text inside a JSON string: one bit each, uint64.

    These are quotes, backslashes, controls and bytes that are not ASCII. One comparison of signed bytes finds the last
    two: from 0x80 on they are negative.
    """

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        def wanted(text: Any) -> Any:
            quotes = builder.icmp_unsigned("==", text, _all(ord('"')))
            slashes = builder.icmp_unsigned("==", text, _all(ord("\\")))
            return builder.or_(builder.icmp_signed("<", text, _all(0x20)), builder.or_(quotes, slashes))

        return _aligned(builder, values[0], wanted)

    return types.uint64(types.int64), build


@instruction
def line_feeds(_typing: Any, _at: Any) -> Any:
    """Which bytes from an address to the end of its 64 are line feeds: one bit each, uint64."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _aligned(builder, values[0], lambda text: builder.icmp_unsigned("==", text, _all(ord("\n"))))

    return types.uint64(types.int64), build


@instruction
def lowest(_typing: Any, _bits: Any) -> Any:
    """The number of the lowest bit that is set, int64; 64 if none is."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build
