"""Small systems of linear equations, solved in compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import compiled

Array = np.ndarray[Any, Any]


@compiled(reorder=True)
def solve_in_place(system: Array, right: Array, n: int) -> None:
    """Replace the right-hand side by the solution, by Cholesky; only the lower triangle of the system is read."""
    for row in range(n):
        for column in range(row + 1):
            rest = system[row, column]
            for k in range(column):
                rest -= system[row, k] * system[column, k]
            system[row, column] = 1.0 / np.sqrt(rest) if row == column else rest * system[column, column]
        rest = right[row]
        for k in range(row):
            rest -= system[row, k] * right[k]
        right[row] = rest * system[row, row]
    for row in range(n - 1, -1, -1):
        value = right[row] * system[row, row]
        right[row] = value
        for k in range(row):
            right[k] -= system[row, k] * value
