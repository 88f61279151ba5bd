"""The share of a list that new items have on request.

A list of k items is a page. It holds what the pages before it left, the best first, and at least `least_new` new items
as long as there are any. New items that are missing take the last places of old items, the best of them first. These
old items go on to the next page. So pages of one request have no item twice, and none is left out.

The pages before an offset have k items too. Only the first has fewer if the offset is no multiple of k.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

import numpy as np

from ..models.prior import Flags
from .new_items import Best
from .request import Filters

# Of a product: 0.07 * 100 is a little more than 7 in binary.
ROUNDING = 1e-12


def least_new(share: float, k: int) -> int:
    """Places of k that new items have at least: their share, rounded up."""
    return math.ceil(share * k * (1 - ROUNDING))


def page(best: Best, fresh: Best, new: Flags, filters: Filters) -> Best:
    """The page of one list that is asked for.

    Parameters
    ----------
    best : the first k + offset items of the list without a share of new items, int32 and float32, shape (any,)
    fresh : the best new items by score, as many
    new : bool, shape (n_items,), whether an item is new
    """
    scores = dict(zip(fresh[0].tolist(), fresh[1], strict=True)) | dict(zip(best[0].tolist(), best[1], strict=True))
    left, spare, used = deque(best[0].tolist()), deque(fresh[0].tolist()), set[int]()
    shown: list[int] = []
    for size in _sizes(filters):
        shown = list(_unused(left, used, size))
        n_missing = least_new(filters.new_share, size) - int(new[shown].sum())
        added = list(_unused(spare, used.union(shown), n_missing))
        old = [item for item in shown if not new[item]]
        dropped = old[len(old) - len(added) :]
        left.extendleft(reversed(dropped))
        shown = [item for item in shown if item not in set(dropped)] + added
        used.update(shown)
    return np.array(shown, dtype=np.int32), np.array([scores[item] for item in shown], dtype=np.float32)


def _sizes(filters: Filters) -> Iterator[int]:
    """Sizes of all pages up to the one that is asked for."""
    n_before, first = divmod(filters.offset, filters.k)
    yield from [first] if first else []
    yield from [filters.k] * (n_before + 1)


def _unused(items: deque[int], used: set[int], n: int) -> Iterator[int]:
    """Take the first n items that are not used; those before them are dropped."""
    while items and n > 0:
        item = items.popleft()
        if item not in used:
            n -= 1
            yield item


def first_pages(best: Best, added: Best, new: Flags) -> Best:
    """The first page of many lists.

    Parameters
    ----------
    best : the lists without a share of new items, int32 and float32, shape (n, k); -1 and -inf where there are no more
    added : the new items that each list lacks, shape (n, any); -1 may be anywhere
    new : bool, shape (n_items,), whether an item is new

    Returns
    -------
    As `best`, and of its shape
    """
    items, scores = (np.concatenate(pair, axis=1) for pair in zip(best, added, strict=True))
    k, there = best[0].shape[1], items >= 0
    old = there[:, :k] & ~new[items[:, :k]]
    from_end = old[:, ::-1].cumsum(axis=1, dtype=np.int32)[:, ::-1]
    there[:, :k] &= ~old | (from_end > there[:, k:].sum(axis=1)[:, None])
    order = np.argsort(~there, axis=1, kind="stable")[:, :k]
    shown = np.take_along_axis(there, order, axis=1)
    items, scores = np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return np.where(shown, items, np.int32(-1)), np.where(shown, scores, np.float32(-np.inf))
