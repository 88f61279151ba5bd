"""The least-squares problem of each row, compiled.

In whitened coordinates, in which the regularized Gram matrix of the known side is the identity, a row with the vectors
S of its interactions, confidences c and D = diag(c - 1) has the problem (I + S'DS) x = S'c. An interaction is a vector,
a weight (in D) and a target (in c); weight = target - 1, except for the shared interactions of `share_singles`.

- One interaction: x = target / (1 + weight |s|^2) s.
- Up to EXACT_UP_TO: with E = D^1/2 and G = SS', (I + EGE) q = EG c by Cholesky, then x = S'(c - Eq). This is the
  push-through identity in a symmetric form, and exact.
- More: conjugate gradients from the given vector (Takacs et al. 2011). Whitening is the preconditioner.

An array documented as "CSR" is a tuple (indptr, columns, confidence): int64, int32, float32, confidence at least 1.
`entries` is a tuple (vectors, weight, target): float32, shape (capacity, n_factors), and float64, shape (capacity,).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, types

from ...compiled import compiled
from ...prefetch import LINE_BYTES, prefetch
from ..cholesky import solve_in_place
from ..memory import BUFFER_BYTES

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, Array, Array]
# First and last interaction of a row, the last of all rows, the shared ones, and the row in these and in all rows.
Row = tuple[int, int, int, Arrays, int, int]
Scratch = tuple[Arrays, Array, Array, Array]
# Whether it is the first, a vector and factors for `add_products`, and what is added to.
Step = tuple[bool, Array, tuple[float, float], Array]

EXACT_UP_TO = 16
# Interactions between a hint and its use.
AHEAD = 16
LINE_NUMBERS = LINE_BYTES // 4
# A squared residual below this share of the first ends the steps.
CONVERGED = 1e-13


@compiled(reorder=True)
def gather(csr: Arrays, known: Array, first: int, stop: int, last: int, entries: Arrays) -> None:
    """Copy the interactions from `first` to `stop` into `entries`; `last` ends those of all rows."""
    _, columns, confidence = csr
    vectors, weight, target = entries
    n_factors = known.shape[1]
    for at in range(first, stop):
        if at + AHEAD < last:
            later = columns[at + AHEAD] * n_factors
            for number in range(later, later + n_factors, LINE_NUMBERS):
                prefetch(known, number)
        place, item = at - first, columns[at]
        weight[place] = confidence[at] - 1.0
        target[place] = confidence[at]
        for column in range(n_factors):
            vectors[place, column] = known[item, column]


@compiled(reorder=True)
def add_shared(shared: Arrays, row: int, own_row: int, entries: Arrays, place: int) -> None:
    """Copy the shared interaction of a row into one place of `entries`."""
    vectors, weight, target = shared
    into_vectors, into_weight, into_target = entries
    into_vectors[place] = vectors[own_row]
    into_weight[place], into_target[place] = weight[row], target[row]


@compiled(reorder=True)
def products(vectors: Array, n: int, found: Array) -> None:
    """Write the lower triangle of the inner products of n vectors, four at a time."""
    n_factors = vectors.shape[1]
    for row in range(0, n - 1, 2):
        for column in range(0, row + 1, 2):
            a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for k in range(n_factors):
                a += vectors[row, k] * vectors[column, k]
                b += vectors[row, k] * vectors[column + 1, k]
                c += vectors[row + 1, k] * vectors[column, k]
                d += vectors[row + 1, k] * vectors[column + 1, k]
            found[row, column], found[row, column + 1] = a, b
            found[row + 1, column], found[row + 1, column + 1] = c, d
    if n % 2:
        for column in range(n):
            a = np.float32(0)
            for k in range(n_factors):
                a += vectors[n - 1, k] * vectors[column, k]
            found[n - 1, column] = a


@compiled(reorder=True)
def solve_few(entries: Arrays, n: int, system: Array, right: Array, x: Array) -> None:
    """Solve the problem of n interactions exactly: in float64, but for the inner products."""
    vectors, weight, target = entries
    products(vectors, n, system)
    for row in range(n):
        total = 0.0
        for column in range(n):
            total += (system[row, column] if column <= row else system[column, row]) * target[column]
        right[row] = np.sqrt(weight[row]) * total
    for row in range(n):
        for column in range(row + 1):
            system[row, column] *= np.sqrt(weight[row] * weight[column])
        system[row, row] += 1.0
    solve_in_place(system, right, n)
    x[:] = 0
    for place in range(n):
        share = np.float32(target[place] - np.sqrt(weight[place]) * right[place])
        for k in range(x.shape[0]):
            x[k] += share * vectors[place, k]


@compiled(reorder=True)
def add_products(entries: Arrays, n: int, along: Array, factors: tuple[float, float], out: Array) -> None:
    """Add S'(f target + g weight * S along) of n interactions to `out`, four at a time; factors : f and g."""
    vectors, weight, target = entries
    f, g = factors
    n_factors, whole = out.shape[0], n - n % 4
    for row in range(0, whole, 4):
        a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for k in range(n_factors):
            a += along[k] * vectors[row, k]
            b += along[k] * vectors[row + 1, k]
            c += along[k] * vectors[row + 2, k]
            d += along[k] * vectors[row + 3, k]
        a = np.float32(f * target[row] + g * weight[row] * a)
        b = np.float32(f * target[row + 1] + g * weight[row + 1] * b)
        c = np.float32(f * target[row + 2] + g * weight[row + 2] * c)
        d = np.float32(f * target[row + 3] + g * weight[row + 3] * d)
        for k in range(n_factors):
            out[k] += a * vectors[row, k] + b * vectors[row + 1, k] + c * vectors[row + 2, k] + d * vectors[row + 3, k]
    for row in range(whole, n):
        a = np.float32(0)
        for k in range(n_factors):
            a += along[k] * vectors[row, k]
        a = np.float32(f * target[row] + g * weight[row] * a)
        for k in range(n_factors):
            out[k] += a * vectors[row, k]


@compiled(reorder=True)
def squared(vector: Array) -> np.float32:
    """The squared length."""
    total = np.float32(0)
    for k in range(vector.shape[0]):
        total += vector[k] * vector[k]
    return total


@compiled(reorder=True)
def move(x: Array, residual: Array, along: Array, image: Array, size: np.float32) -> np.float32:
    """One step of conjugate gradients, where `image` is S'DS along; return the squared length of the new residual."""
    curvature = np.float32(0)
    for k in range(x.shape[0]):
        image[k] += along[k]
        curvature += along[k] * image[k]
    length = size / curvature
    for k in range(x.shape[0]):
        x[k] += length * along[k]
        residual[k] -= length * image[k]
    found = squared(residual)
    turn = found / size
    for k in range(x.shape[0]):
        along[k] = residual[k] + turn * along[k]
    return found


@compiled(reorder=True)
def add_row(csr: Arrays, known: Array, row: Row, entries: Arrays, step: Step) -> None:
    """Add what `add_products` adds, for all interactions of a row, in parts of at most the size of `entries`."""
    first, stop, last, shared, own_row, index = row
    is_first, along, factors, image = step
    capacity = entries[0].shape[0] - 1
    has_shared = shared[0].shape[0] > 0 and shared[2][index] != 0
    for part in range(first, stop, capacity):
        end = min(part + capacity, stop)
        if is_first or stop - first > capacity:
            gather(csr, known, part, end, last, entries)
            if has_shared and end == stop:
                add_shared(shared, index, own_row, entries, end - part)
        add_products(entries, end - part + (1 if has_shared and end == stop else 0), along, factors, image)


@compiled(reorder=True)
def solve_many(csr: Arrays, known: Array, row: Row, x: Array, scratch: Scratch, steps: int) -> None:
    """Improve x by steps of conjugate gradients."""
    entries, residual, along, image = scratch
    image[:] = 0
    add_row(csr, known, row, entries, (True, x, (1.0, -1.0), image))
    for k in range(x.shape[0]):
        residual[k] = along[k] = image[k] - x[k]
    size = squared(residual)
    enough = CONVERGED * size
    for _ in range(steps):
        if size <= enough:
            break
        image[:] = 0
        add_row(csr, known, row, entries, (False, along, (0.0, 1.0), image))
        size = move(x, residual, along, image, size)


_CSR = types.Tuple([types.Array(each, 1, "C", readonly=True) for each in (int64, int32, float32)])
_KNOWN, _OWN = types.Array(float32, 2, "C", readonly=True), types.Array(float32, 2, "C")
_SHARED = types.Tuple([_KNOWN, *[types.Array(float64, 1, "C", readonly=True)] * 2])
_ROWS = types.UniTuple(int64, 2)


@compiled(types.void(_CSR, _KNOWN, _ROWS, _OWN, _SHARED, int64), reorder=True)
def solve_rows(csr: Arrays, known: Array, rows: tuple[int, int], own: Array, shared: Arrays, steps: int) -> None:
    """Solve the problems of the rows from rows[0] to rows[1].

    Parameters
    ----------
    csr : CSR of all rows
    known : float32, shape (n_columns, n_factors), whitened
    own : float32, shape (rows[1] - rows[0], n_factors); long rows start from it, and the solutions replace it
    shared : one more vector of each of these rows, float32, of the shape of `own`; and of all rows weight and target,
        float64, shape (n_rows,), where target 0 is none. No vectors: none has one
    steps : of conjugate gradients
    """
    indptr, n_factors = csr[0], known.shape[1]
    capacity = max(EXACT_UP_TO, BUFFER_BYTES // (4 * n_factors)) + 1
    vectors = np.empty((capacity, n_factors), np.float32)
    entries = (vectors, np.empty(capacity, np.float64), np.empty(capacity, np.float64))
    residual, along = np.empty(n_factors, np.float32), np.empty(n_factors, np.float32)
    scratch = (entries, residual, along, np.empty(n_factors, np.float32))
    system, right = np.empty((EXACT_UP_TO, EXACT_UP_TO), np.float64), np.empty(EXACT_UP_TO, np.float64)
    last = indptr[rows[1]]
    for row in range(rows[0], rows[1]):
        own_row, first, stop = row - rows[0], indptr[row], indptr[row + 1]
        n_shared = 1 if shared[0].shape[0] > 0 and shared[2][row] != 0 else 0
        if stop - first + n_shared > EXACT_UP_TO:
            about = (first, stop, last, shared, own_row, row)
            solve_many(csr, known, about, own[own_row], scratch, steps)
            continue
        gather(csr, known, first, stop, last, entries)
        if n_shared:
            add_shared(shared, row, own_row, entries, stop - first)
        solve_few(entries, stop - first + n_shared, system, right, own[own_row])


@compiled(types.void(_CSR[0], _CSR[2], _KNOWN, _ROWS, types.UniTuple(types.Array(float64, 1, "C"), 3)), reorder=True)
def share_singles(indptr: Array, confidence: Array, items: Array, rows: tuple[int, int], shared: Arrays) -> None:
    """Add up the users with one interaction, for each of some items: they are collinear with it.

    Such a user is x = w y with w = c / (1 + (c - 1) |y|^2). In the problem of the item all of them together are one
    interaction with vector y, weight sum (c - 1) w^2 and target sum c w; in the Gram matrix of the users they add
    sum w^2 y y'.

    Parameters
    ----------
    indptr, confidence : of the users of each item, int64, shape (n_items + 1,), and float32
    items : float32, shape (n_items, n_factors), whitened
    shared : weight, target and the sum of w^2, float64, shape (n_items,); written for the items from rows[0] to rows[1]
    """
    weight, target, mass = shared
    for item in range(rows[0], rows[1]):
        weight[item] = target[item] = mass[item] = 0.0
        if indptr[item] == indptr[item + 1]:
            continue
        square = np.float64(squared(items[item]))
        for at in range(indptr[item], indptr[item + 1]):
            c = np.float64(confidence[at])
            w = c / (1.0 + (c - 1.0) * square)
            weight[item] += (c - 1.0) * w * w
            target[item] += c * w
            mass[item] += w * w
