"""What is asked for: for whom, from which events, and with which filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..data.numerals import MAX_RATING
from ..errors import ConfigError

MOST_ITEMS = 1_000  # of one list, offset included
MOST_EVENTS = 1_000
MOST_FILTERED = 10_000


@dataclass(frozen=True)
class Event:
    """A fresh interaction. What is not known counts as: now, without an opinion, and not known to be verified.

    rating : stars, 0 to 5; time : with its zone
    """

    item: str
    time: datetime | None = None
    rating: float | None = None
    verified: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """One list.

    user : an id; None or an unknown one has no stored history
    events : join the stored history
    k, offset : items of the list, after so many that are passed over
    exclude : ids that are left out
    allow : ids that alone may be recommended; None is all
    seen : whether items of the history may be recommended again
    variety : 0 to 1, how much the list avoids items like those before (MMR, Carbonell and Goldstein 1998)
    """

    user: str | None = None
    events: tuple[Event, ...] = ()
    k: int = 10
    offset: int = 0
    exclude: frozenset[str] = frozenset()
    allow: frozenset[str] | None = None
    seen: bool = False
    variety: float = 0.0

    def __post_init__(self) -> None:
        problems = [
            problem
            for problem, wrong in {
                f"k={self.k}: expected 1 to {MOST_ITEMS}": not 1 <= self.k <= MOST_ITEMS,
                f"offset={self.offset}: expected 0 or more, and k + offset up to {MOST_ITEMS}": self.offset < 0
                or self.offset > max(0, MOST_ITEMS - self.k),
                f"events: {len(self.events):,}, expected up to {MOST_EVENTS:,}": len(self.events) > MOST_EVENTS,
                f"exclude: {len(self.exclude):,} ids, expected up to {MOST_FILTERED:,}": len(self.exclude)
                > MOST_FILTERED,
                f"allow: {len(self.allow or ()):,} ids, expected up to {MOST_FILTERED:,}": len(self.allow or ())
                > MOST_FILTERED,
                f"variety={self.variety:g}: expected 0 to 1": not 0 <= self.variety <= 1,
            }.items()
            if wrong
        ]
        problems += [
            f"rating={event.rating:g} of {event.item!r}: expected 0 to {MAX_RATING}"
            for event in self.events
            if event.rating is not None and not 0 <= event.rating <= MAX_RATING
        ]
        problems += [
            f"time={event.time.isoformat()} of {event.item!r}: expected a time with its zone"
            for event in self.events
            if event.time is not None and event.time.tzinfo is None
        ]
        if problems:
            raise ConfigError(problems)
