"""The best items of some requests, and their best new items, before pages are cut from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..models.histories import Histories, Ints
from ..models.protocol import Rows, Scoring
from ..models.shortlist import shortlist
from .new_items import Best
from .request import Filters
from .version import ServedVersion

_NO_ITEMS: Best = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class Found:
    """What a list is made of, int32 and float32, shape (any,), best first; -1 and -inf where there are no more.

    best : the best items, offset included
    fresh : the best new items, where new items are to have a share
    """

    best: Best
    fresh: Best = _NO_ITEMS

    def above_zero(self) -> Found:
        """Those with scores above 0."""
        return Found(*((items[scores > 0], scores[scores > 0]) for items, scores in (self.best, self.fresh)))


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search for some requests.

    scoring_of : of some rows of `filters`
    own : items that each is not answered with, whatever it excludes; int32, ascending
    """

    version: ServedVersion
    scoring_of: Callable[[Rows], Scoring]
    filters: Sequence[Filters]
    own: Sequence[Ints]

    def found(self) -> list[Found]:
        """What each request is answered from."""
        hidden = [self._hidden(each, items) for each, items in zip(self.filters, self.own, strict=True)]
        free = [row for row, each in enumerate(self.filters) if each.allow is None]
        best = self._searched(free, hidden, shortlist, max((self.filters[row].needed for row in free), default=0))
        fresh: dict[int, Best] = {}
        asking = [row for row in free if self.filters[row].new_share]
        for days in {self.filters[row].new_item_days for row in asking}:
            rows = [row for row in asking if self.filters[row].new_item_days == days]
            width = max(self.filters[row].shown for row in rows)
            fresh |= self._searched(rows, hidden, self.version.new_items(days).best, width)
        return [
            Found(best[row], fresh.get(row, _NO_ITEMS)) if row in best else self._allowed(row, hidden[row])
            for row in range(len(self.filters))
        ]

    def _searched(
        self,
        rows: Sequence[int],
        hidden: Sequence[Ints],
        search: Callable[[Scoring, Histories, int], Best],
        width: int,
    ) -> dict[int, Best]:
        """Row -> what a search finds."""
        if not rows:
            return {}
        items, scores = search(self.scoring_of(np.array(rows)), self._left_out([hidden[row] for row in rows]), width)
        return {row: (items[at], scores[at]) for at, row in enumerate(rows)}

    def _allowed(self, row: int, hidden: Ints) -> Found:
        """All items that a request allows."""
        asked = self.filters[row]
        places = self.version.items.rows(sorted(asked.allow or ()))
        allowed = np.setdiff1d(places[places >= 0], hidden).astype(np.int32)
        exact = self.scoring_of(np.array([row])).exact(np.zeros(len(allowed), dtype=np.int64), allowed)
        order = np.argsort(-exact, kind="stable")
        items, scores = allowed[order], exact[order]
        if not asked.new_share:
            return Found((items, scores))
        new = self.version.new_items(asked.new_item_days).flags[items]
        return Found((items, scores), (items[new], scores[new]))

    def _hidden(self, filters: Filters, own: Ints) -> Ints:
        """Items that must not be answered, int32, ascending."""
        if not filters.exclude:
            return own
        places = self.version.items.rows(sorted(filters.exclude))
        return np.union1d(own, places[places >= 0]).astype(np.int32)

    def _left_out(self, rows: Sequence[Ints]) -> Histories:
        items = np.concatenate(rows)
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        return Histories(indptr, items, np.ones(len(items), dtype=np.float32), len(self.version.items), check=False)
