"""The history that a list is made from: what is stored of a user, and fresh events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..data.layouts import UNKNOWN
from ..models.confidence import confidences
from ..models.histories import Histories, Ints
from .lists import Source
from .request import Event, Request
from .version import ServedVersion

NEUTRAL_RATING = 3.0


@dataclass(frozen=True)
class Gathered:
    """The histories of some requests, in their order; where each came from, and ids that the version does not know."""

    histories: Histories
    sources: tuple[Source, ...]
    unknown_items: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class _Known:
    """One history, items ascending: int32 items, int64 seconds, float32 stars, int8 verified flags."""

    items: Ints
    times: np.ndarray[Any, np.dtype[np.int64]]
    ratings: np.ndarray[Any, np.dtype[np.float32]]
    verified: np.ndarray[Any, np.dtype[np.int8]]

    @classmethod
    def stored(cls, version: ServedVersion, row: int | None) -> _Known:
        """The history of a row; empty for None."""
        seen = version.seen
        span = slice(*seen.indptr[row : row + 2]) if row is not None else slice(0, 0)
        return cls(seen.indices[span], seen.times[span], seen.ratings[span], seen.verified[span])

    def joined(self, events: Sequence[Event], items: Sequence[int], now: int) -> _Known:
        """With fresh events of items: at most one interaction an item, as training has them.

        The earliest counts, and it is verified if any was.
        """
        all_items = np.concatenate([self.items, np.array(items, dtype=np.int32)])
        times = np.concatenate([self.times, np.array([_seconds(event, now) for event in events], dtype=np.int64)])
        ratings = np.concatenate([self.ratings, np.array([_rating(event) for event in events], dtype=np.float32)])
        verified = np.concatenate([self.verified, np.array([_verified(event) for event in events], dtype=np.int8)])
        order = np.lexsort((ratings, times, all_items))
        first = np.flatnonzero(np.diff(all_items[order], prepend=-1))
        kept = order[first]
        return _Known(all_items[kept], times[kept], ratings[kept], np.maximum.reduceat(verified[order], first))


def gather(version: ServedVersion, requests: Sequence[Request]) -> Gathered:
    """What is known of whom the requests are about."""
    found, sources, unknown = [], [], []
    now = version.manifest.published_split_s
    for request in requests:
        known = _Known.stored(version, version.users.find(request.user) if request.user is not None else None)
        places = version.items.rows([event.item for event in request.events]).tolist() if request.events else []
        fresh = [(event, place) for event, place in zip(request.events, places, strict=True) if place >= 0]
        if fresh:
            known = known.joined([event for event, _ in fresh], [place for _, place in fresh], now)
        found.append(known)
        sources.append(_source(known, bool(fresh)))
        unknown.append(tuple(event.item for event, place in zip(request.events, places, strict=True) if place < 0))
    return Gathered(_histories(version, found), tuple(sources), tuple(unknown))


def _source(known: _Known, fresh: bool) -> Source:
    if not len(known.items):
        return Source.PRIOR
    return Source.FOLD_IN if fresh else Source.KNOWN_USER


def _seconds(event: Event, now: int) -> int:
    return now if event.time is None else int(event.time.timestamp())


def _rating(event: Event) -> float:
    return NEUTRAL_RATING if event.rating is None else event.rating


def _verified(event: Event) -> int:
    return UNKNOWN if event.verified is None else int(event.verified)


def _histories(version: ServedVersion, found: Sequence[_Known]) -> Histories:
    indptr = np.concatenate([[0], np.cumsum([len(each.items) for each in found])]).astype(np.int64)
    every = [*found, _Known.stored(version, None)]
    weighed = confidences(
        np.concatenate([each.times for each in every]),
        np.concatenate([each.ratings for each in every]),
        np.concatenate([each.verified for each in every]),
        split_s=version.manifest.published_split_s,
        config=version.config.encode,
    )
    items = np.concatenate([each.items for each in every])
    return Histories(indptr, items, weighed, len(version.items), check=False)


def stored_events(version: ServedVersion, user: str) -> list[Event]:
    """What is stored of a user, newest first; empty for one who is not known."""
    row, seen = version.users.find(user), version.seen
    if row is None:
        return []
    at = np.arange(seen.indptr[row], seen.indptr[row + 1])
    order = at[np.lexsort((seen.indices[at], -seen.times[at]))]
    return [
        Event(
            item,
            datetime.fromtimestamp(int(seen.times[place]), UTC),
            float(seen.ratings[place]),
            None if seen.verified[place] == UNKNOWN else bool(seen.verified[place]),
        )
        for item, place in zip(version.items.names(seen.indices[order]), order.tolist(), strict=True)
    ]
