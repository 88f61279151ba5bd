"""Lists from a version: the one code path of notebooks, command line and API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import ConfigError, NotFound
from ..models.blas import one_blas_thread
from ..models.explain import contributions
from ..models.histories import Histories, Ints
from ..models.protocol import Rows, Scores, Scoring
from ..models.ranking import BLOCK_SCORES
from ..models.shortlist import shortlist
from ..parameters import MAIN_CHANNEL
from ..registry.locate import resolve
from ..registry.registry import Registry
from ..storage.cache import claim
from .history import gather
from .lists import List, Scored, Source
from .request import MOST_ITEMS, Filters, Request
from .variety import varied
from .version import ServedVersion

Best = tuple[Ints, Scores]
Names = tuple[str, ...]
EVERYTHING = Filters()
_NONE = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True)
class Reason:
    """An item of the history and its part of the score for another item; all parts add up to the score."""

    item: str
    part: float


@dataclass(frozen=True)
class Explanation:
    """Why an item has its score, the strongest reason first.

    source : how a list of the same request would come about; with the prior there are no reasons
    unknown_items : ids of the request that the version does not know
    """

    source: Source
    reasons: tuple[Reason, ...]
    unknown_items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommender:
    """Answers requests from one version; safe to use from several threads.

    Examples
    --------
    >>> recommender = Recommender.load(registry, cache=cache)           # doctest: +SKIP
    >>> recommender.recommend([Request(user="A2SUAM1J3GNN3B", k=5)])   # doctest: +SKIP
    """

    version: ServedVersion

    @classmethod
    def load(cls, registry: Registry, name: str = MAIN_CHANNEL, *, cache: Path) -> Recommender:
        """The version that a channel points to, or of an id; its files are verified.

        Parameters
        ----------
        cache : folder for the files, of this user alone; see `storage.cache.claim`

        Raises
        ------
        NotFound
            There is no such channel or version.
        DataError
            A file of the version is damaged.
        """
        claim(cache)
        return cls(ServedVersion.fetch(registry, resolve(registry, name), cache))

    def recommend(self, requests: Sequence[Request]) -> list[List]:
        """The list of each request. A list does not depend on the other requests, to the last bit."""
        parts = (requests[start : start + self.block] for start in range(0, len(requests), self.block))
        return [answer for part in parts for answer in self._lists(part)]

    @property
    def block(self) -> int:
        """Requests that are scored at once, with bounded memory."""
        return max(1, BLOCK_SCORES // len(self.version.items))

    def _lists(self, requests: Sequence[Request]) -> list[List]:
        gathered = gather(self.version, requests)
        histories = gathered.histories
        own = [
            _NONE if request.seen else histories.items[slice(*histories.indptr[row : row + 2])]
            for row, request in enumerate(requests)
        ]
        with one_blas_thread():
            found = self._best(lambda rows: self.version.model.scoring(histories.take(rows)), requests, own)
            return self._answers(requests, found, gathered.sources, gathered.unknown_items)

    def rank(self, request: Request, items: Sequence[str]) -> List:
        """A given list in the order of the scores, with items of the history; unknown ids are named in the answer."""
        if not 1 <= len(items) <= MOST_ITEMS:
            raise ConfigError(f"items: {len(items):,} ids, expected 1 to {MOST_ITEMS:,}")
        asked = replace(request, allow=frozenset(items), seen=True, k=len(items), offset=0, variety=0.0)
        (found,) = self.recommend([asked])
        unknown = tuple(item for item in dict.fromkeys(items) if item not in self.version.items)
        return replace(found, unknown_items=found.unknown_items + unknown)

    def similar(self, item: str, filters: Filters = EVERYTHING) -> List:
        """The items whose factors point in the most similar direction; scores are cosines, above 0.

        Raises
        ------
        NotFound
            The version does not know the item.
        """
        itself = np.array([self._row(item)], dtype=np.int32)
        with one_blas_thread():
            found = self._best(lambda rows: self.version.similarity.scoring(itself[rows]), [filters], [itself])
            items, cosines = found[0]
            like = cosines > 0  # of an item without factors, nothing is known
            return self._answers([filters], {0: (items[like], cosines[like])}, [Source.ITEM], [()])[0]

    def trending(self, filters: Filters = EVERYTHING) -> List:
        """What is in demand now: the item prior."""
        (found,) = self.recommend([Request(**vars(filters))])
        return found

    def why(self, request: Request, item: str) -> Explanation:
        """Which items of the history speak for an item, the strongest first; negative parts speak against it.

        Raises
        ------
        NotFound
            The version does not know the item.
        """
        row, version = self._row(item), self.version
        gathered = gather(version, [request])
        history = gathered.histories
        with one_blas_thread():
            scoring = version.model.scoring(history)
            parts = contributions(history, version.model.als.whitened, scoring.tastes[0], row)
        multiplier = version.model.prior.multiplier(len(history.items), row)
        names = version.items.names(history.items)
        reasons = [Reason(name, float(part) * multiplier) for name, part in zip(names, parts, strict=True)]
        reasons.sort(key=lambda reason: (-reason.part, reason.item))
        return Explanation(gathered.sources[0], tuple(reasons), gathered.unknown_items[0])

    def _row(self, item: str) -> int:
        row = self.version.items.find(item)
        if row is None:
            raise NotFound(f"{item!r}: {self.version.manifest.model_id} does not know this item")
        return row

    def _best(
        self, scoring_of: Callable[[Rows], Scoring], filters: Sequence[Filters], own: Sequence[Ints]
    ) -> dict[int, Best]:
        """Row -> the best items of a request and their scores, offset included.

        Parameters
        ----------
        scoring_of : of some rows of `filters`
        own : items that each is not answered with, whatever it excludes
        """
        found: dict[int, Best] = {}
        hidden = [self._hidden(each, items) for each, items in zip(filters, own, strict=True)]
        free = [row for row, each in enumerate(filters) if each.allow is None]
        if free:
            left_out = self._left_out([hidden[row] for row in free])
            width = max(filters[row].needed for row in free)
            items, scores = shortlist(scoring_of(np.array(free)), left_out, width)
            found |= {row: (items[at], scores[at]) for at, row in enumerate(free)}
        for row, each in enumerate(filters):
            if each.allow is not None:
                places = self.version.items.rows(sorted(each.allow))
                allowed = np.setdiff1d(places[places >= 0], hidden[row]).astype(np.int32)
                exact = scoring_of(np.array([row])).exact(np.zeros(len(allowed), dtype=np.int64), allowed)
                order = np.argsort(-exact, kind="stable")
                found[row] = allowed[order], exact[order]
        return found

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

    def _answers(
        self, filters: Sequence[Filters], best: Mapping[int, Best], sources: Sequence[Source], unknown: Sequence[Names]
    ) -> list[List]:
        """The list of each request, from its best items."""
        chosen = [self._chosen(each, *best[row]) for row, each in enumerate(filters)]
        names = iter(self.version.items.names(np.concatenate([items for items, _ in chosen])))
        manifest = self.version.manifest
        return [
            List(
                model_id=manifest.model_id,
                as_of=manifest.as_of,
                source=source,
                items=tuple(map(Scored, islice(names, len(items)), scores.tolist())),
                unknown_items=missing,
            )
            for (items, scores), source, missing in zip(chosen, sources, unknown, strict=True)
        ]

    def _chosen(self, filters: Filters, items: Ints, scores: Scores) -> Best:
        """Those of the best items that the list shows."""
        n = min(filters.needed, int(np.count_nonzero(items >= 0)))
        items, scores = items[:n], scores[:n]
        if filters.variety:
            order = varied(self.version.similarity, items, scores, filters)
            items, scores = items[order], scores[order]
        span = slice(filters.offset, filters.offset + filters.k)
        return items[span], scores[span]
