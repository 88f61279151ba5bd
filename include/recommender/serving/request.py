"""What is asked for: for whom, from which events, and with which filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..data.numerals import MAX_RATING
from ..errors import ConfigError
from ..parameters.definition import MOST_DAYS
from ..parameters.of_batch import NEW_ITEM_DAYS

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

    def problems(self) -> list[str]:
        """What is out of bounds."""
        problems = []
        if self.rating is not None and not 0 <= self.rating <= MAX_RATING:
            problems.append(f"rating={self.rating:g} of {self.item!r}: expected 0 to {MAX_RATING}")
        if self.time is not None and self.time.tzinfo is None:
            problems.append(f"time={self.time.isoformat()} of {self.item!r}: expected a time with its zone")
        return problems


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which part of the best items a list is.

    k, offset : items of the list, after so many that are passed over
    exclude : ids that are left out
    allow : ids that alone may be recommended; None is all
    variety : 0 to 1, how much the list avoids items like those before (MMR, Carbonell and Goldstein 1998)
    new_share : 0 to 1, the share of the list that new items have at least; see `exposure`
    new_item_days : an item is new if its first interaction is at most so many days before the end of what is known

    Raises
    ------
    ConfigError
        A field is out of bounds.
    """

    k: int = 10
    offset: int = 0
    exclude: frozenset[str] = frozenset()
    allow: frozenset[str] | None = None
    variety: float = 0.0
    new_share: float = 0.0
    new_item_days: int = NEW_ITEM_DAYS

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise ConfigError(problems)

    @property
    def needed(self) -> int:
        """Items that the list is chosen from: with variety always as many, so that pages of one list fit together."""
        return MOST_ITEMS if self.variety else self.shown

    @property
    def shown(self) -> int:
        """Items of the list and of what is passed over."""
        return self.k + self.offset

    def problems(self) -> list[str]:
        """What is out of bounds."""
        allowed = len(self.allow or ())
        checks = {
            f"k={self.k}: expected 1 to {MOST_ITEMS}": 1 <= self.k <= MOST_ITEMS,
            f"offset={self.offset}: expected 0 or more, and k + offset up to {MOST_ITEMS}": 0
            <= self.offset
            <= max(0, MOST_ITEMS - self.k),
            f"exclude: {len(self.exclude):,} ids, expected up to {MOST_FILTERED:,}": len(self.exclude) <= MOST_FILTERED,
            f"allow: {allowed:,} ids, expected up to {MOST_FILTERED:,}": allowed <= MOST_FILTERED,
            f"variety={self.variety:g}: expected 0 to 1": 0 <= self.variety <= 1,
            f"new_share={self.new_share:g}: expected 0 to 1": 0 <= self.new_share <= 1,
            f"new_item_days={self.new_item_days}: expected 1 to {MOST_DAYS:,}": 1 <= self.new_item_days <= MOST_DAYS,
        }
        return [problem for problem, right in checks.items() if not right]


@dataclass(frozen=True, kw_only=True)
class Request(Filters):
    """One list for somebody.

    user : an id; None or an unknown one has no stored history
    events : join the stored history
    seen : whether items of the history may be recommended again
    """

    user: str | None = None
    events: tuple[Event, ...] = ()
    seen: bool = False

    def problems(self) -> list[str]:
        """See `Filters`."""
        n_events = len(self.events)
        many = [f"events: {n_events:,}, expected up to {MOST_EVENTS:,}"] if n_events > MOST_EVENTS else []
        return super().problems() + many + [problem for event in self.events for problem in event.problems()]
