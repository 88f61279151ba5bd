"""Lists from a version: the one code path of notebooks, command line and API."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np

from ..errors import ConfigError, NotFound
from ..models.explain import contributions
from ..models.histories import Histories, Ints
from ..models.protocol import Scores
from ..models.ranking import BLOCK_SCORES
from ..models.shortlist import shortlist
from ..parameters import MAIN_CHANNEL
from ..registry.locate import resolve
from ..registry.registry import Registry
from ..storage.cache import claim
from .history import Gathered, gather
from .lists import List, Scored, Source
from .request import MOST_ITEMS, Request
from .variety import varied
from .version import ServedVersion

Best = tuple[Ints, Scores]


@dataclass(frozen=True)
class Reason:
    """An item of the history and its part of the score for another item; all parts add up to the score."""

    item: str
    part: float


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
        block = max(1, BLOCK_SCORES // len(self.version.items))
        parts = (requests[start : start + block] for start in range(0, len(requests), block))
        return [answer for part in parts for answer in self._lists(part)]

    def _lists(self, requests: Sequence[Request]) -> list[List]:
        gathered = gather(self.version, requests)
        with _one_blas_thread():
            found = self._best(requests, gathered.histories)
        return [self._list(request, gathered, row, found[row]) for row, request in enumerate(requests)]

    def rank(self, request: Request, items: Sequence[str]) -> List:
        """A given list in the order of the scores, with items of the history; unknown ids are named in the answer."""
        if not 1 <= len(items) <= MOST_ITEMS:
            raise ConfigError(f"items: {len(items):,} ids, expected 1 to {MOST_ITEMS:,}")
        asked = replace(request, allow=frozenset(items), seen=True, k=len(items), offset=0, variety=0.0)
        (found,) = self.recommend([asked])
        unknown = tuple(item for item in items if item not in self.version.items)
        return replace(found, unknown_items=found.unknown_items + unknown)

    def similar(self, item: str, k: int = 10) -> List:
        """The items whose factors point in the most similar direction; scores are cosines, above 0.

        Raises
        ------
        NotFound
            The version does not know the item.
        ConfigError
            k is out of bounds.
        """
        row, request = self._row(item), Request(k=k)
        with _one_blas_thread():
            items, scores = self.version.similarity.most_similar(np.array([row], np.int32), request.k)
        return self._answer(Source.ITEM, items[0], scores[0], ())

    def trending(self, k: int = 10) -> List:
        """What is in demand now: the item prior."""
        (found,) = self.recommend([Request(k=k)])
        return found

    def why(self, request: Request, item: str) -> list[Reason]:
        """Which items of the history speak for an item, the strongest first; negative parts speak against it.

        Raises
        ------
        NotFound
            The version does not know the item.
        """
        row, version = self._row(item), self.version
        history = gather(version, [request]).histories
        with _one_blas_thread():
            scoring = version.model.scoring(history)
            parts = contributions(history, version.model.als.whitened, scoring.tastes[0], row)
        multiplier = version.model.prior.multiplier(len(history.items), row)
        names = version.items.names(history.items)
        reasons = [Reason(name, float(part) * multiplier) for name, part in zip(names, parts, strict=True)]
        return sorted(reasons, key=lambda reason: (-reason.part, reason.item))

    def _row(self, item: str) -> int:
        row = self.version.items.find(item)
        if row is None:
            raise NotFound(f"{item!r}: {self.version.manifest.model_id} does not know this item")
        return row

    def _best(self, requests: Sequence[Request], histories: Histories) -> dict[int, Best]:
        """Row -> the best items of a request and their scores, offset included."""
        found: dict[int, Best] = {}
        free = [row for row, request in enumerate(requests) if request.allow is None]
        if free:
            left_out = self._left_out([requests[row] for row in free], histories.take(np.array(free)))
            scoring = self.version.model.scoring(histories.take(np.array(free)))
            items, scores = shortlist(scoring, left_out, max(_needed(requests[row]) for row in free))
            found |= {row: (items[at], scores[at]) for at, row in enumerate(free)}
        for row, request in enumerate(requests):
            if request.allow is not None:
                found[row] = self._of_allowed(request, request.allow, histories.take(np.array([row])))
        return found

    def _of_allowed(self, request: Request, allow: Collection[str], history: Histories) -> Best:
        places = self.version.items.rows(sorted(allow))
        items = np.setdiff1d(places[places >= 0], self._left_out([request], history).items).astype(np.int32)
        scores = self.version.model.scoring(history).exact(np.array([0]), items)[0]
        order = np.argsort(-scores, kind="stable")
        return items[order], scores[order]

    def _left_out(self, requests: Sequence[Request], histories: Histories) -> Histories:
        """Items that each request must not be answered with, as rows of `requests`."""
        rows = []
        for row, request in enumerate(requests):
            own = histories.items[histories.indptr[row] : histories.indptr[row + 1]]
            places = self.version.items.rows(sorted(request.exclude))
            rows.append(np.union1d(own[:0] if request.seen else own, places[places >= 0]).astype(np.int32))
        items = np.concatenate(rows)
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        return Histories(indptr, items, np.ones(len(items), dtype=np.float32), len(self.version.items))

    def _list(self, request: Request, gathered: Gathered, row: int, best: Best) -> List:
        items, scores = best[0][: _needed(request)], best[1][: _needed(request)]
        if request.variety:
            chosen = varied(self.version.similarity, items[items >= 0], scores[items >= 0], request)
            items, scores = items[chosen], scores[chosen]
        span = slice(request.offset, request.offset + request.k)
        return self._answer(gathered.sources[row], items[span], scores[span], gathered.unknown_items[row])

    def _answer(self, source: Source, items: Ints, scores: Scores, unknown: tuple[str, ...]) -> List:
        kept = items >= 0
        names = self.version.items.names(items[kept])
        return List(
            model_id=self.version.manifest.model_id,
            as_of=self.version.manifest.as_of,
            source=source,
            items=tuple(Scored(name, float(score)) for name, score in zip(names, scores[kept], strict=True)),
            unknown_items=unknown,
        )


_COMPUTE = Lock()


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """One BLAS thread, in one thread at a time: the limit is that of the whole process."""
    from threadpoolctl import threadpool_limits

    with _COMPUTE, threadpool_limits(1, "blas"):
        yield


def _needed(request: Request) -> int:
    """Items that a list is chosen from: with variety always as many, so that pages of one list fit together."""
    return MOST_ITEMS if request.variety else request.k + request.offset
