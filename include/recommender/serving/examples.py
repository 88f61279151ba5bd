"""A few users with their histories and lists, for people to look at."""

from __future__ import annotations

import msgspec
import numpy as np

from ..registry.seen import Seen
from .history import stored_events
from .recommender import Recommender
from .request import Request

# Lengths of histories that are looked for: most users have few interactions, and the others show more.
LENGTHS = (1, 2, 3, 4, 5, 7, 10, 15, 25, 50)
SHOWN = 5


class ExampleItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item of a list."""

    item: str
    score: float


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A user. history : their newest items, newest first; n_items : of the whole history."""

    user: str
    n_items: int
    history: list[str]
    items: list[ExampleItem]


def examples(recommender: Recommender, n: int = len(LENGTHS)) -> list[Example]:
    """Up to n users with histories of different lengths, each the one who was active last."""
    version = recommender.version
    users = version.users.names(_rows(version.seen, n))
    answers = recommender.recommend([Request(user=user, k=SHOWN) for user in users])
    found = []
    for user, answer in zip(users, answers, strict=True):
        events = stored_events(version, user)
        items = [ExampleItem(row.item, row.score) for row in answer.items]
        found.append(
            Example(user=user, n_items=len(events), history=[event.item for event in events[:SHOWN]], items=items)
        )
    return found


def _rows(seen: Seen, n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Rows of users, the shortest history first."""
    sizes = np.diff(seen.indptr)
    some = np.flatnonzero(sizes > 0)
    if not len(some):
        return np.zeros(0, dtype=np.int64)
    sizes, newest = sizes[some], np.maximum.reduceat(seen.times, seen.indptr[some])
    order = np.lexsort((-newest, sizes))
    # Of each size the user who was active last.
    last = order[np.flatnonzero(np.diff(sizes[order], prepend=0))]
    lengths = LENGTHS[:: max(1, len(LENGTHS) // n)][:n]
    rows = [int(some[last[np.lexsort((-newest[last], np.abs(sizes[last] - length)))[0]]]) for length in lengths]
    return np.array(list(dict.fromkeys(rows)), dtype=np.int64)
