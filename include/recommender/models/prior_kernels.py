"""The compiled part of `prior_grid`: which items are ranked, and their ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, float32, float64, int32, types

from ..compiled import compiled

Array = np.ndarray[Any, Any]

# Between the keys of positive scores, of zeros and of negative scores; no logarithm of a float32 comes near.
_APART = 1e6
# Only -inf is lower.
LOWEST = np.finfo(np.float32).min


@compiled(reorder=True)
def add(values: Array, items: Array, n: int, value: float, item: int) -> int:
    """Insert into the best of so many, best first; of equal values the smaller item first. Return the new count."""
    if n == len(values):
        if value < values[n - 1] or (value == values[n - 1] and item > items[n - 1]):
            return n
        place = n - 1
    else:
        place, n = n, n + 1
    while place > 0 and (value > values[place - 1] or (value == values[place - 1] and item < items[place - 1])):
        values[place], items[place] = values[place - 1], items[place - 1]
        place -= 1
    values[place], items[place] = value, item
    return n


@compiled(reorder=True)
def key_of(taste: float) -> tuple[float, float]:
    """Base and sign: scores are in the order of base + sign * log multiplier."""
    if taste > 0:
        return np.log(taste), 1.0
    if taste == 0:
        return -_APART, 0.0
    return -2 * _APART - np.log(-taste), -1.0


@compiled(reorder=True)
def leading_items(tastes: Array, leading: Array, values: Array, items: Array, found: Array) -> tuple[int, float]:
    """Keep the leading items that may be among the best; return their number, and the taste that others must reach.

    They are in the order of popularity: an item is out if as many before it as are wanted have more taste.
    """
    n, n_found = 0, 0
    for item in leading:
        taste = tastes[item]
        if taste == -np.inf or (n == len(values) and taste < values[n - 1] and values[n - 1] > 0):
            continue
        n = add(values, items, n, taste, item)
        found[n_found] = item
        n_found += 1
    return n_found, values[n - 1] if n == len(values) and values[n - 1] > 0 else -np.inf


@compiled(reorder=True)
def near_items(tastes: Array, least: float, found: Array) -> int:
    """Write the items with at least so much taste; return their number."""
    n, limit = 0, max(np.float32(least), LOWEST)
    for item in range(len(tastes)):
        if tastes[item] >= limit:
            found[n] = item
            n += 1
    return n


@compiled(reorder=True)
def rank(keys: Array, some: Array, n: int, powers: tuple[float, float], best: tuple[Array, Array]) -> int:
    """Rank n items by base + sign * max(power * log, least); return how many there are.

    Parameters
    ----------
    keys : float64, shape (any, 3): base, sign and log of each
    powers : power, and least
    """
    power, least = powers
    values, items = best
    found = 0
    for at in range(n):
        value = keys[at, 0] + keys[at, 1] * max(power * keys[at, 2], least)
        if found < len(values) or value >= values[found - 1]:
            found = add(values, items, found, value, some[at])
    return found


_FLOATS = types.Array(float32, 2, "C", readonly=True)


@compiled(
    types.void(
        _FLOATS,
        types.Tuple([_FLOATS, types.Array(int32, 2, "C", readonly=True), types.Array(boolean, 2, "C", readonly=True)]),
        types.Array(float64, 1, "C", readonly=True),
        types.Array(float64, 1, "C", readonly=True),
        float64,
        types.Array(int32, 4, "C"),
    ),
    reorder=True,
)
def best_of_grid(
    tastes: Array, half_lives: tuple[Array, Array, Array], powers: Array, stretch: Array, least_log: float, found: Array
) -> None:
    """Write the best items of each user under each prior.

    Parameters
    ----------
    tastes : float32, shape (n, n_items); -inf is never recommended
    half_lives : logs, leading items, and whether an item is one; float32, int32, bool; shape (n_half_lives, any)
    powers : float64, shape (n_powers,)
    stretch : float64, shape (n,), what the powers are multiplied by for each user
    least_log : no multiplier's logarithm is less
    found : int32, shape (n_half_lives, n_powers, n, k), -1 where it is not written
    """
    logs, leading, leads = half_lives
    n_items, k = tastes.shape[1], found.shape[3]
    values, items, near = np.empty(k, np.float64), np.empty(k, np.int32), np.empty(n_items, np.int32)
    few, least = np.empty(leading.shape, np.int32), np.empty(len(logs), np.float64)
    n_few, some, keys = np.empty(len(logs), np.int64), np.empty(n_items, np.int32), np.empty((n_items, 3), np.float64)
    for row in range(len(tastes)):
        for h in range(len(logs)):
            n_few[h], least[h] = leading_items(tastes[row], leading[h], values, items, few[h])
        n_near = near_items(tastes[row], least.min(), near)
        for h in range(len(logs)):
            n = n_few[h]
            some[:n] = few[h, :n]
            for at in range(n_near):
                if tastes[row, near[at]] >= least[h] and not leads[h, near[at]]:
                    some[n] = near[at]
                    n += 1
            for at in range(n):
                base, sign = key_of(tastes[row, some[at]])
                keys[at, 0], keys[at, 1], keys[at, 2] = base, sign, logs[h, some[at]]
            for p in range(len(powers)):
                count = rank(keys, some, n, (powers[p] * stretch[row], least_log), (values, items))
                found[h, p, row, :count] = items[:count]
