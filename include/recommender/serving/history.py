"""The history that a list is made from: what is stored of a user, and fresh events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..data.decoding import UNKNOWN
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
    """One history: int32 items, ascending, and float32 confidences."""

    items: Ints
    confidence: np.ndarray[Any, np.dtype[np.float32]]


def gather(version: ServedVersion, requests: Sequence[Request]) -> Gathered:
    """What is known of whom the requests are about."""
    found, sources, unknown = [], [], []
    for request in requests:
        row = version.users.find(request.user) if request.user is not None else None
        places = version.items.rows([event.item for event in request.events])
        known = _joined(version, row, request.events, places) if (places >= 0).any() else _stored(version, row)
        found.append(known)
        sources.append(_source(known, bool((places >= 0).any())))
        unknown.append(tuple(event.item for event, place in zip(request.events, places, strict=True) if place < 0))
    return Gathered(_histories(found, len(version.items)), tuple(sources), tuple(unknown))


def _source(known: _Known, fresh: bool) -> Source:
    if not len(known.items):
        return Source.PRIOR
    return Source.FOLD_IN if fresh else Source.KNOWN_USER


def _stored(version: ServedVersion, row: int | None) -> _Known:
    stored = version.histories
    span = slice(*stored.indptr[row : row + 2]) if row is not None else slice(0, 0)
    return _Known(stored.items[span], stored.confidence[span])


def _joined(version: ServedVersion, row: int | None, events: Sequence[Event], places: np.ndarray[Any, Any]) -> _Known:
    """At most one interaction an item, as training has them: the earliest, and verified if any was."""
    seen, now = version.seen, version.manifest.published_split_s
    span = slice(*seen.indptr[row : row + 2]) if row is not None else slice(0, 0)
    fresh = [event for event, place in zip(events, places, strict=True) if place >= 0]
    items = np.concatenate([seen.indices[span], places[places >= 0].astype(np.int32)])
    times = np.concatenate([seen.times[span], [_seconds(event, now) for event in fresh]]).astype(np.int64)
    ratings = np.concatenate([seen.ratings[span], [_rating(event) for event in fresh]]).astype(np.float32)
    verified = np.concatenate([seen.verified[span], [_verified(event) for event in fresh]]).astype(np.int8)
    order = np.lexsort((ratings, times, items))
    first = np.flatnonzero(np.diff(items[order], prepend=-1))
    kept = order[first]
    verified = np.maximum.reduceat(verified[order], first)
    weighed = confidences(times[kept], ratings[kept], verified, split_s=now, config=version.config.encode)
    return _Known(items[kept].astype(np.int32), weighed)


def _seconds(event: Event, now: int) -> int:
    return now if event.time is None else int(event.time.timestamp())


def _rating(event: Event) -> float:
    return NEUTRAL_RATING if event.rating is None else event.rating


def _verified(event: Event) -> int:
    return UNKNOWN if event.verified is None else int(event.verified)


def _histories(found: Sequence[_Known], n_items: int) -> Histories:
    indptr = np.concatenate([[0], np.cumsum([len(each.items) for each in found])]).astype(np.int64)
    empty = [_Known(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))]
    items = np.concatenate([each.items for each in [*empty, *found]])
    confidence = np.concatenate([each.confidence for each in [*empty, *found]])
    return Histories(indptr, items, confidence, n_items)


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
