"""A hint for the processor to fetch an element of an array, for compiled loops.

What is read in random order from an array that fits into no cache makes a loop wait for each element. Hints overlap the
waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LINE_BYTES = 64

_READ, _KEEP, _DATA = 0, 3, 1


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(_typing: Any, array: Any, _at: Any) -> tuple[Any, Callable[..., Any]]:
    """Fetch the cache line of an element of a C array, by its place in memory. Nothing is read; it need not exist."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(context.make_array(signature.args[0])(context, builder, values[0]).data, [values[1]])
        place = builder.bitcast(place, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, number(_READ), number(_KEEP), number(_DATA)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), build
