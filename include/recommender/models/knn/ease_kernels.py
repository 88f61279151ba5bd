"""The compiled part of `ease`: the ridge regression of each item on its neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float64, int32, int64, types

from ...compiled import compiled
from ..cholesky import solve_in_place

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, Array, Array]

_INDPTR, _ITEMS = types.Array(int64, 1, "C"), types.Array(int32, 1, "C")
_WEIGHTS = types.Array(float64, 1, "C")


@compiled(
    types.void(
        types.Tuple((_INDPTR, _ITEMS, _ITEMS)),
        _WEIGHTS,
        types.UniTuple(int64, 2),
        types.Tuple((_INDPTR, _ITEMS)),
        float64,
        _WEIGHTS,
    ),
    reorder=True,
)
def solve_items(
    shared: Arrays, sizes: Array, rows: tuple[int, int], lists: tuple[Array, Array], ridge: float, weights: Array
) -> None:
    """Regress some items on their neighbours: solve (G + ridge I) w = g for each.

    Parameters
    ----------
    shared : CSR of the users that two items share, (indptr, items, counts), int64, int32, int32
    sizes : users of each item, float64
    rows : the first item, and the last one plus 1
    lists : CSR of the neighbours of each item, (indptr, neighbours), int64, int32
    weights : is filled, one a neighbour, float64
    """
    indptr, neighbours = lists
    shared_indptr, shared_items, counts = shared
    most = 0
    for item in range(rows[0], rows[1]):
        most = max(most, indptr[item + 1] - indptr[item])
    # Beside the system there is a column for the item itself, and one for all that is not wanted: no branch is needed.
    own, unwanted = most, most + 1
    place = np.full(len(sizes), unwanted, dtype=np.uint32)
    system, right = np.empty((most, most + 2)), np.empty(most)
    for item in range(rows[0], rows[1]):
        start, n = indptr[item], indptr[item + 1] - indptr[item]
        for at in range(n):
            place[neighbours[start + at]] = at
        place[item] = own
        for row in range(n):
            neighbour = neighbours[start + row]
            of_row = system[row]
            of_row[:row] = 0.0
            of_row[own] = 0.0
            for at in range(shared_indptr[neighbour], shared_indptr[neighbour + 1]):
                of_row[place[shared_items[at]]] = counts[at]
            of_row[row] = sizes[neighbour] + ridge
            right[row] = of_row[own]
        solve_in_place(system, right, n)
        for at in range(n):
            weights[start + at] = right[at]
            place[neighbours[start + at]] = unwanted
        place[item] = unwanted
