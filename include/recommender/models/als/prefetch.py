"""A hint for the processor to fetch a row of an array, for numba kernels.

Rows of factors are read in random order from an array that fits into no cache; without hints a kernel waits for each.
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
def prefetch(typing_context: Any, array: Any, row: Any, column: Any) -> tuple[Any, Callable[..., Any]]:
    """Fetch the cache line of array[row, column]. Nothing is read: the indices may go stale, but must be in range."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, *index_types = signature.args
        found = context.make_array(array_type)(context, builder, arguments[0])
        index = [context.cast(builder, *each, types.intp) for each in zip(arguments[1:], index_types, strict=True)]
        at = cgutils.get_item_pointer(context, builder, array_type, found, index, wraparound=False)
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        hint = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, hint, "llvm.prefetch.p0")
        builder.call(function, [builder.bitcast(at, pointer), number(_READ), number(_KEEP), number(_DATA)])
        return context.get_dummy_value()

    return types.void(array, row, column), generate
