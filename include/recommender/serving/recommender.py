"""Lists from a version: the one code path of notebooks, command line and API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import ConfigError, NotFound
from ..models.blas import one_blas_thread
from ..models.explain import contributions
from ..models.ranking import BLOCK_SCORES
from ..parameters import MAIN_CHANNEL
from ..registry.locate import resolve
from ..registry.registry import Registry
from ..storage.cache import claim
from .exposure import page
from .history import gather
from .lists import List, Scored, Source
from .new_items import Best
from .request import MOST_ITEMS, Filters, Request
from .search import Found, Search
from .variety import varied
from .version import ServedVersion

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
        search = Search(
            version=self.version,
            scoring_of=lambda rows: self.version.model.scoring(histories.take(rows)),
            filters=requests,
            own=own,
        )
        with one_blas_thread():
            return self._answers(requests, search.found(), gathered.sources, gathered.unknown_items)

    def rank(self, request: Request, items: Sequence[str]) -> List:
        """A given list in the order of the scores, with items of the history; unknown ids are named in the answer."""
        if not 1 <= len(items) <= MOST_ITEMS:
            raise ConfigError(f"items: {len(items):,} ids, expected 1 to {MOST_ITEMS:,}")
        asked = replace(request, allow=frozenset(items), seen=True, k=len(items), offset=0, variety=0.0, new_share=0.0)
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
        search = Search(
            version=self.version,
            scoring_of=lambda rows: self.version.similarity.scoring(itself[rows]),
            filters=[filters],
            own=[itself],
        )
        with one_blas_thread():
            (found,) = search.found()
            like = found.above_zero()  # of an item without factors, nothing is known
            return self._answers([filters], [like], [Source.ITEM], [()])[0]

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
            parts = contributions(version.model, history, row)
        names = version.items.names(history.items)
        reasons = [Reason(name, float(part)) for name, part in zip(names, parts, strict=True)]
        reasons.sort(key=lambda reason: (-reason.part, reason.item))
        return Explanation(gathered.sources[0], tuple(reasons), gathered.unknown_items[0])

    def _row(self, item: str) -> int:
        row = self.version.items.find(item)
        if row is None:
            raise NotFound(f"{item!r}: {self.version.manifest.model_id} does not know this item")
        return row

    def _answers(
        self, filters: Sequence[Filters], found: Sequence[Found], sources: Sequence[Source], unknown: Sequence[Names]
    ) -> list[List]:
        """The list of each request, from what was found."""
        chosen = [self._chosen(each, its) for each, its in zip(filters, found, strict=True)]
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

    def _chosen(self, filters: Filters, found: Found) -> Best:
        """Those of the items found that the list shows."""
        items, scores = _first(found.best, filters.needed)
        if filters.variety:
            order = varied(self.version.similarity, items, scores, filters)
            items, scores = items[order], scores[order]
        if filters.new_share:
            new = self.version.new_items(filters.new_item_days)
            return page((items, scores), _first(found.fresh, filters.shown), new.flags, filters)
        span = slice(filters.offset, filters.offset + filters.k)
        return items[span], scores[span]


def _first(best: Best, n: int) -> Best:
    """At most n items; -1 is none."""
    items, scores = best
    n = min(n, int(np.count_nonzero(items >= 0)))
    return items[:n], scores[:n]
