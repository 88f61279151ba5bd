"""What is answered: a list of items with their scores, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Source(StrEnum):
    """How a list came about."""

    KNOWN_USER = "known_user"  # from the stored history
    FOLD_IN = "fold_in"  # fresh events alone, or joined to the stored history
    PRIOR = "prior"  # nothing is known of the user: what is in demand now
    ITEM = "item"  # items like another


@dataclass(frozen=True)
class Scored:
    """One item of a list; `score` orders the items of one list and is comparable only within it."""

    item: str
    score: float


@dataclass(frozen=True, kw_only=True)
class List:
    """The best items, best first.

    unknown_items : ids of the request that the version does not know
    """

    model_id: str
    as_of: datetime
    source: Source
    items: tuple[Scored, ...]
    unknown_items: tuple[str, ...] = ()
