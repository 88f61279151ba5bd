"""New items of a version: those whose first interaction is recent, and the search for the best of them.

A search over the whole catalogue cannot stop early where few of its items count. So a few new items are a catalogue of
their own, with the scores of the whole model. Where many items are new, the others are masked, and nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..models.als.taste import Als, AlsScoring
from ..models.confidence import DAY_S
from ..models.histories import Histories, Ints
from ..models.model import KnnScores, Model, ModelScoring
from ..models.prior import Flags
from ..models.protocol import Doubles, Rows, Scores, Scoring
from ..models.ranking import in_blocks
from ..models.shortlist import nothing, shortlist
from ..models.whitening import places
from ..registry.seen import Seen

# New items are few if they are at most one of so many items.
FEW = 4
NEVER = np.iinfo(np.int64).max

Best = tuple[Ints, Scores]
Seconds = np.ndarray[Any, np.dtype[np.int64]]


def first_interactions(seen: Seen) -> Seconds:
    """The time of the first known interaction with each item, int64, shape (n_items,); NEVER where there is none."""
    found = np.full(seen.n_items, NEVER)
    np.minimum.at(found, seen.indices, seen.times)
    return found


@dataclass(frozen=True)
class NewItems:
    """The new items of a model.

    flags : bool, shape (n_items,)
    """

    model: Model
    flags: Flags

    @classmethod
    def of(cls, model: Model, first: Seconds, end_s: int, days: int) -> NewItems:
        """Items whose first interaction is at most so many days before the end. An item without any is not new.

        Parameters
        ----------
        first : see `first_interactions`
        end_s : end of what is known, seconds
        """
        return cls(model, (first >= end_s - days * DAY_S) & (first < NEVER))

    @cached_property
    def items(self) -> Ints:
        """The new items, int32, ascending."""
        return np.flatnonzero(self.flags).astype(np.int32)

    @property
    def few(self) -> bool:
        """Whether they are a catalogue of their own."""
        return len(self.items) * FEW <= len(self.flags)

    @cached_property
    def extract(self) -> Extract:
        """A catalogue of the new items alone; made when it is first asked for."""
        return Extract.of(self.model, self.items)

    def counts(self, items: Ints) -> Rows:
        """New items of each list, int64, shape (n,).

        Parameters
        ----------
        items : int32, shape (n, any); -1 is no item
        """
        found: Rows = (self.flags[items] & (items >= 0)).sum(axis=1)
        return found

    def best(self, scoring: Scoring, hidden: Histories, k: int) -> Best:
        """The k best new items of some users; see `shortlist`.

        Parameters
        ----------
        hidden : items that are not searched for, of the users of `scoring`
        """
        if not len(self.items):
            return nothing(len(hidden), k)
        if not (self.few and isinstance(scoring, ModelScoring)):
            return shortlist(OnlyNew(scoring, self.flags), hidden, k)
        return self._whole(*shortlist(self.extract.scoring(scoring), self._columns(hidden), k))

    def best_of_all(self, histories: Histories, hidden: Histories, k: int) -> Best:
        """The same for any number of users, in blocks on all cores.

        Parameters
        ----------
        histories : what the model scores from
        """
        if not (len(self.items) and len(histories)):
            return nothing(len(hidden), k)

        def lists(rows: Rows) -> Best:
            return self.best(self.model.scoring(histories.take(rows)), hidden.take(rows), k)

        # Blocks are not as large as few items would allow: what neighbours say of all items is in memory too.
        n_scored = len(self.flags) // FEW if self.few else len(self.flags)
        items, scores = zip(*in_blocks(lists, np.arange(len(histories)), n_scored), strict=True)
        return np.concatenate(items), np.concatenate(scores)

    def _columns(self, hidden: Histories) -> Histories:
        """The new items of histories, numbered from 0."""
        kept = self.flags[hidden.items]
        sizes = np.bincount(hidden.rows[kept], minlength=len(hidden))
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        columns = np.searchsorted(self.items, hidden.items[kept]).astype(np.int32)
        return Histories(indptr, columns, hidden.confidence[kept], len(self.items), check=False)

    def _whole(self, columns: Ints, scores: Scores) -> Best:
        """Items of the whole catalogue in place of new items numbered from 0."""
        return np.where(columns >= 0, self.items[columns], np.int32(-1)), scores


@dataclass(frozen=True)
class Extract:
    """Some items of a model as a catalogue of their own. Their scores are those of the whole model, to the last bit.

    model : of the items, numbered from 0; nothing is folded into it
    items : int32, ascending
    """

    model: Model
    items: Ints

    @classmethod
    def of(cls, whole: Model, items: Ints) -> Extract:
        """Some items of a model, in the order of its vectors."""
        whitened = whole.als.whitened
        own = whitened.place[items]
        order = np.argsort(own, kind="stable").astype(np.int32)
        vectors = replace(whitened, vectors=whitened.vectors[own[order]], order=order, place=places(order))
        return cls(Model(Als(vectors), whole.prior.take(items)), items)

    def scoring(self, whole: ModelScoring) -> ExtractScoring:
        """The same users, ready to be scored for these items alone.

        Parameters
        ----------
        whole : for all items
        """
        of_als = AlsScoring(self.model.als.whitened, whole.tastes)
        return ExtractScoring(of_als, self._of_items(whole.knn), self.model, whole.sizes, whole)

    def _of_items(self, knn: KnnScores) -> KnnScores:
        columns = np.minimum(np.searchsorted(self.items, knn.items), len(self.items) - 1).astype(np.int32)
        kept = self.items[columns] == knn.items
        rows = knn.rows[kept]
        sizes = np.bincount(rows, minlength=len(knn.sizes)).astype(np.int32)
        return KnnScores(rows, columns[kept], knn.values[kept], sizes, len(self.items))


@dataclass(frozen=True)
class ExtractScoring(ModelScoring):
    """Some histories, ready to be scored for some items. whole : for all items"""

    whole: ModelScoring

    @cached_property
    def unknown(self) -> Flags:
        """Users of whom nothing is known at all. Neighbours may speak for other items only."""
        return self.whole.unknown


@dataclass(frozen=True)
class OnlyNew:
    """Some histories, ready to be scored; no other items than new ones can be found. See `Scoring`.

    new : bool, shape (n_items,)
    """

    whole: Scoring
    new: Flags

    @property
    def order(self) -> Ints:
        """See `Scoring`."""
        return self.whole.order

    @property
    def place(self) -> Ints:
        """See `Scoring`."""
        return self.whole.place

    @cached_property
    def apart(self) -> tuple[Rows, Ints, Scores]:
        """See `Scoring`."""
        rows, items, bounds = self.whole.apart
        kept = self.new[items]
        return rows[kept], items[kept], bounds[kept]

    def upper(self, start: int, out: Scores) -> None:
        """See `Scoring`; -inf, which `shortlist` takes for hidden, for items that are not new."""
        self.whole.upper(start, out)
        out[:, ~self.new[self.order[start : start + out.shape[1]]]] = -np.inf

    def limits(self) -> Doubles:
        """See `Scoring`."""
        return self.whole.limits()

    def exact(self, rows: Rows, items: Ints) -> Scores:
        """See `Scoring`."""
        return self.whole.exact(rows, items)

    def follows(self, rows: Rows, leaders: Rows, floors: Doubles) -> Doubles:
        """See `Scoring`."""
        return self.whole.follows(rows, leaders, floors)
