"""The compiled part of `prior_grid`: which items are ranked, and their ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, float32, float64, int32, int64, types, uint8

from ..compiled import compiled
from .prior import LEAST_MULTIPLIER

Array = np.ndarray[Any, Any]

# Between the keys of positive scores, of zeros and of negative scores; no logarithm of a float32 comes near.
_APART = 1e6
# Only -inf is lower.
LOWEST = np.finfo(np.float32).min
BLOCK_ITEMS = 128
LOG_LEAST = float(np.log(LEAST_MULTIPLIER))


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
    """Write the items with at least so much taste; return their number.

    Most blocks have none. To count them takes vector instructions.
    """
    n, limit, n_blocks = 0, max(np.float32(least), LOWEST), len(tastes) // BLOCK_ITEMS
    for block in range(n_blocks + 1):
        start = block * BLOCK_ITEMS
        stop = start + BLOCK_ITEMS if block < n_blocks else len(tastes)
        many = np.int32(0)
        for taste in tastes[start:stop]:
            many += np.int32(1) if taste >= limit else np.int32(0)
        if many > 0:
            for item in range(start, stop):
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


@compiled(reorder=True)
def gathered(tastes: Array, some: Array, n: int, near: Array, least: float, leads: Array) -> int:
    """Add the near items with enough taste that are not leading to the n items of `some`; return their number."""
    limit = max(np.float32(least), LOWEST)
    for item in near:
        if tastes[item] >= limit and not leads[item]:
            some[n] = item
            n += 1
    return n


@compiled(reorder=True)
def write_keys(tastes: Array, logs: Array, some: Array, keys: Array) -> None:
    """Write base, sign and log of some items; see `rank`."""
    for at in range(len(some)):
        base, sign = key_of(tastes[some[at]])
        keys[at, 0], keys[at, 1], keys[at, 2] = base, sign, logs[some[at]]


@compiled(reorder=True)
def weigh(tastes: Array, items: Array, by_als: Array, by_knn: Array, weight: float) -> None:
    """Write the taste of the items that neighbours speak for, with one weight of item-kNN."""
    for at in range(len(items)):
        tastes[items[at]] = by_als[at] + by_knn[at] * np.float32(weight)


_FLOATS = types.Array(float32, 2, "C", readonly=True)
_INTS = types.Array(int32, 2, "C", readonly=True)
_NUMBERS = types.Array(float64, 1, "C", readonly=True)
_KNN = types.Tuple(
    [
        types.Array(int64, 1, "C", readonly=True),
        types.Array(int32, 1, "C", readonly=True),
        types.Array(float32, 1, "C", readonly=True),
        _NUMBERS,
    ]
)
_HALF_LIVES = types.Tuple([_FLOATS, _INTS, types.Array(boolean, 2, "C", readonly=True)])
_PRIORS = types.UniTuple(_NUMBERS, 2)


@compiled(
    types.void(
        types.Array(float32, 2, "C"),
        _KNN,
        _HALF_LIVES,
        _PRIORS,
        types.Array(int32, 5, "C"),
    ),
    reorder=True,
)
def best_of_grid(
    tastes: Array,
    knn: tuple[Array, Array, Array, Array],
    half_lives: tuple[Array, Array, Array],
    priors: tuple[Array, Array],
    found: Array,
) -> None:
    """Write the best items of each user under each prior and weight of item-kNN.

    Weights change few items: those that neighbours speak for. So the catalogue is scanned once a user, for the others.

    Parameters
    ----------
    tastes : float32, shape (n, n_items), by ALS; -inf is never recommended. It is overwritten
    knn : indptr, items, scores and weights; int64, int32, float32, float64
    half_lives : logs, leading items, and whether an item is one; float32, int32, bool; shape (n_half_lives, any)
    priors : powers, and what they are multiplied by for each user; float64, shapes (n_powers,) and (n,)
    found : int32, shape (n_weights, n_half_lives, n_powers, n, k), -1 where it is not written
    """
    indptr, touched, by_knn, weights = knn
    (logs, leading, leads), (powers, stretch) = half_lives, priors
    n_items, k, n_half_lives = tastes.shape[1], found.shape[4], len(logs)
    values, items, near = np.empty(k, np.float64), np.empty(k, np.int32), np.empty(n_items, np.int32)
    few = np.empty((len(weights), n_half_lives, leading.shape[1]), np.int32)
    n_few, least = np.empty((len(weights), n_half_lives), np.int64), np.empty((len(weights), n_half_lives), np.float64)
    some, keys = np.empty(n_items, np.int32), np.empty((n_items, 3), np.float64)
    for row in range(len(tastes)):
        mine, said, taste = touched[indptr[row] : indptr[row + 1]], by_knn[indptr[row] : indptr[row + 1]], tastes[row]
        by_als = taste[mine]
        for w in range(len(weights)):
            weigh(taste, mine, by_als, said, weights[w])
            for h in range(n_half_lives):
                n_few[w, h], least[w, h] = leading_items(taste, leading[h], values, items, few[w, h])
        taste[mine] = -np.inf
        n_near = near_items(taste, least.min(), near)
        for w in range(len(weights)):
            weigh(taste, mine, by_als, said, weights[w])
            for h in range(n_half_lives):
                n = n_few[w, h]
                some[:n] = few[w, h, :n]
                n = gathered(taste, some, n, near[:n_near], least[w, h], leads[h])
                n = gathered(taste, some, n, mine, least[w, h], leads[h])
                write_keys(taste, logs[h], some[:n], keys)
                for p in range(len(powers)):
                    count = rank(keys, some, n, (powers[p] * stretch[row], LOG_LEAST), (values, items))
                    found[w, h, p, row, :count] = items[:count]


@compiled(reorder=True)
def is_out(tastes: Array, logs: Array, leading: Array, item: int, k: int) -> bool:
    """Whether k leading items are above an item under every power: as popular, and of more taste above 0."""
    taste, n = tastes[item], 0
    least = max(taste, np.float32(0))
    for other in leading:
        if taste > 0 and logs[other] < logs[item]:
            return False
        if tastes[other] > least:
            n += 1
            if n == k:
                return True
    return False


@compiled(reorder=True)
def write_possible(tastes: Array, logs: Array, leading: Array, asked: tuple[Array, int], possible: Array) -> bool:
    """Write which of the asked items may be among the k best under some power; return whether any may."""
    items, k = asked
    found = False
    for at in range(len(items)):
        item = items[at]
        possible[at] = item >= 0 and tastes[item] > -np.inf and not is_out(tastes, logs, leading, item, k)
        found |= possible[at]
    return found


@compiled(reorder=True)
def is_among(
    keys: Array, some: Array, own: tuple[int, float, float, float], powers: tuple[float, float], k: int
) -> bool:
    """Whether fewer than k of some items are above an item, see `rank`.

    Parameters
    ----------
    own : the item, its base, sign and log
    powers : power, and least
    """
    (item, base, sign, log), (power, least) = own, powers
    value, above = base + sign * max(power * log, least), 0
    for at in range(len(some)):
        other = keys[at, 0] + keys[at, 1] * max(power * keys[at, 2], least)
        # Not the item itself, whose value may be rounded otherwise there.
        if some[at] != item and (other > value or (other == value and some[at] < item)):
            above += 1
            if above == k:
                return False
    return True


@compiled(reorder=True)
def write_hits(
    keys: Array,
    some: Array,
    own: tuple[int, float, float, float],
    powers: tuple[Array, float],
    to: tuple[Array, Array, int],
) -> None:
    """Write under which powers an item is among the k best of some.

    Parameters
    ----------
    powers : powers and what they are multiplied by
    to : hits of the item by point, the point of each power, and k
    """
    hits, place, k = to
    for p in range(len(place)):
        if place[p] >= 0 and is_among(keys, some, own, (powers[0][p] * powers[1], LOG_LEAST), k):
            hits[place[p]] = 1


@compiled(
    types.void(
        types.Array(float32, 2, "C"),
        _KNN,
        _HALF_LIVES,
        _PRIORS,
        types.Tuple(
            [
                types.Array(int64, 1, "C", readonly=True),
                types.Array(int32, 1, "C", readonly=True),
                types.Array(int32, 3, "C", readonly=True),
                int64,
            ]
        ),
        types.Array(uint8, 2, "C"),
    ),
    reorder=True,
)
def hits_of_grid(  # noqa: C901  # the loops of `best_of_grid`, with what is left out
    tastes: Array,
    knn: tuple[Array, Array, Array, Array],
    half_lives: tuple[Array, Array, Array],
    priors: tuple[Array, Array],
    asked: tuple[Array, Array, Array, int],
    hits: Array,
) -> None:
    """Write whether items are among the k best of their user, under some of the priors and weights of item-kNN.

    All else is as in `best_of_grid`. Most items are out under all powers, so nothing need be ranked for them.

    Parameters
    ----------
    asked : indptr, items, place and k
        items are those of each user; below 0 they are on no list
        place is int32, shape (n_weights, n_half_lives, n_powers): the column of hits; -1 is not wanted
    hits : uint8, shape (n_items_asked, any), 0 before; 1 is written
    """
    indptr, touched, by_knn, weights = knn
    logs, leading, leads = half_lives
    (powers, stretch), (starts, items_asked, place, k) = priors, asked
    n_items, n_half_lives = tastes.shape[1], len(logs)
    values, items, near = np.empty(k, np.float64), np.empty(k, np.int32), np.empty(n_items, np.int32)
    few = np.empty((len(weights), n_half_lives, leading.shape[1]), np.int32)
    n_few, least = np.empty((len(weights), n_half_lives), np.int64), np.empty((len(weights), n_half_lives), np.float64)
    some, keys = np.empty(n_items, np.int32), np.empty((n_items, 3), np.float64)
    possible = np.empty((len(weights), n_half_lives, np.diff(starts).max()), np.bool_)
    for row in range(len(tastes)):
        mine, said, taste = touched[indptr[row] : indptr[row + 1]], by_knn[indptr[row] : indptr[row + 1]], tastes[row]
        wanted, found = items_asked[starts[row] : starts[row + 1]], hits[starts[row] : starts[row + 1]]
        by_als, lowest = taste[mine], np.inf
        for w in range(len(weights)):
            weigh(taste, mine, by_als, said, weights[w])
            for h in range(n_half_lives):
                n_few[w, h] = -1
                if place[w, h].max() >= 0 and write_possible(taste, logs[h], leading[h], (wanted, k), possible[w, h]):
                    n_few[w, h], least[w, h] = leading_items(taste, leading[h], values, items, few[w, h])
                    lowest = min(lowest, least[w, h])
        if lowest == np.inf:
            continue
        taste[mine] = -np.inf
        n_near = near_items(taste, lowest, near)
        for w in range(len(weights)):
            weigh(taste, mine, by_als, said, weights[w])
            for h in range(n_half_lives):
                n = n_few[w, h]
                if n < 0:
                    continue
                some[:n] = few[w, h, :n]
                n = gathered(taste, some, n, near[:n_near], least[w, h], leads[h])
                n = gathered(taste, some, n, mine, least[w, h], leads[h])
                write_keys(taste, logs[h], some[:n], keys)
                for at in range(len(wanted)):
                    if possible[w, h, at]:
                        own = wanted[at], *key_of(taste[wanted[at]]), np.float64(logs[h, wanted[at]])
                        write_hits(keys, some[:n], own, (powers, stretch[row]), (found[at], place[w, h], k))


@compiled(
    types.void(
        _INTS,
        types.Array(int64, 1, "C", readonly=True),
        types.Array(int32, 1, "C", readonly=True),
        types.Array(uint8, 1, "C"),
    )
)
def count_hits(best: Array, held_indptr: Array, held_items: Array, hits: Array) -> None:
    """Write how many items of each list were held out.

    Parameters
    ----------
    best : int32, shape (n, k), each item once; -1 is no item
    held_indptr, held_items : the held-out items of each user; -1 is an item that no list can name
    hits : uint8, shape (n,)
    """
    for user in range(len(best)):
        n = 0
        for item in best[user]:
            if item < 0:
                break
            for at in range(held_indptr[user], held_indptr[user + 1]):
                n += held_items[at] == item
        hits[user] = n
