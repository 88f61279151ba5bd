"""Judge many models on one fold, for less than it takes to judge each of them on all users.

Users come in batches. After each batch, models that are far below the best are dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import numpy as np

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..models.als.taste import Als
from ..models.als.training import fit_als
from ..models.knn.fitting import fit_similarities
from ..models.knn.similarities import Similarities
from ..models.model import Model
from ..models.prior import Flags, ItemPrior
from ..models.prior_grid import Held, PriorGrid, by_list
from ..models.protocol import Rows
from ..models.whitening import Factors
from ..parameters.of_models import MOST_FACTORS
from .evaluate import Task, fold_task
from .grid import Point, axes, configured
from .metrics import Floats

log = logging.getLogger(__name__)

MAX_USERS = 16_000
# All points are judged on so many users; then on as many more, and so on.
FIRST_USERS = 1_000
# A point that is so many standard errors below the best is dropped.
DROPPED = 3.0
# Standard errors by which no ageing, or more factors, must be better, for others to be tried beside them.
WORTH_MORE = 1.0
# Where they are as much worse on a quarter of the users or more, they are given up; on fewer users, where they are so
# many standard errors worse.
GIVEN_UP_EARLY = 2.0
# Standard errors of a difference that is the same for all users.
CERTAIN = 1e6
# Fewer sweeps than a training has choose as well (benchmarks/choices.py). Each attempt begins anew: one that went on
# from another would be a model that no training makes.
MAX_SWEEPS = 8
# Of the lists that are held at once.
LIST_BYTES = 100_000_000


@dataclass(frozen=True)
class Found:
    """What a model reached on the users that it was judged on.

    recall : Recall@K of each, float64, shape (n_users,). The users have one order for all models, so those of a model
        that was dropped are the first of the others'
    coverage : coverage@K of the lists of the first users
    listed_users : how many these are
    """

    recall: Floats
    coverage: float
    listed_users: int


def errors_below(recall: Floats, best: Floats) -> float:
    """Standard errors of the paired difference by which a model is below another, on the users that both have."""
    n = min(len(recall), len(best))
    difference = best[:n] - recall[:n]
    mean, error = float(difference.mean()), float(difference.std(ddof=1)) / n**0.5
    return mean / error if error else float(CERTAIN * np.sign(mean))


def tried(
    inner: EncodedFold, config: RetrainConfig, largest: int = MOST_FACTORS, *, whole: bool = False
) -> dict[Point, Found]:
    """What the points reach on the holdout of a fold, by one fit of ALS for each number of factors and half-life.

    The configured factors, half-life and similarity are tried with all weights and priors, and so is another
    similarity. Then no ageing, and then more factors, up to `largest`, are tried with those beside the best so far.
    They take its place if they are better by more than WORTH_MORE standard errors. Still more factors follow as long as
    they do.

    Parameters
    ----------
    whole : judge all points on all users
    """
    factors, half_lives, similarities, *others = axes(config)
    trying = Trying(inner, config, whole)
    best = trying.attempt(configured(config), others)
    for similarity in similarities[1:]:
        best = trying.better(best, configured(config)._replace(similarity=similarity), others)
    for days in half_lives[1:] if np.ptp(inner.times) else []:
        best = trying.better(best, best.point._replace(half_life_days=days))
    for n_factors in [each for each in factors[1:] if each <= largest]:
        more = trying.better(best, best.point._replace(factors=n_factors))
        if more is best:
            break
        best = more
    return trying.found


def judged_on_all(found: dict[Point, Found]) -> dict[Point, Found]:
    """The points that were not dropped."""
    n_users = max(len(each.recall) for each in found.values())
    return {point: each for point, each in found.items() if len(each.recall) == n_users}


def best_of(found: dict[Point, Found]) -> Point:
    """Of the points that were not dropped, that of the largest recall."""
    left = judged_on_all(found)
    return max(left, key=lambda point: float(left[point].recall.mean()))


@dataclass(frozen=True)
class Attempt:
    """The best point of one fit, and its recall, see `Found`."""

    point: Point
    recall: Floats


@dataclass(frozen=True)
class Trying:
    """A fold on whose holdout points are tried.

    whole : see `tried`
    found : what was tried
    """

    inner: EncodedFold
    config: RetrainConfig
    whole: bool = False
    found: dict[Point, Found] = field(default_factory=dict)
    _factors: dict[tuple[int, float], Factors] = field(default_factory=dict)
    _similarities: dict[str, Similarities] = field(default_factory=dict)

    def better(self, best: Attempt, point: Point, others: Sequence[Sequence[float]] | None = None) -> Attempt:
        """Try points; return this attempt if its best is better by more than WORTH_MORE, or else `best`.

        Parameters
        ----------
        others : see `attempt`; by default those of the point and beside them
        """
        beside = [_beside(axis, value) for axis, value in zip(axes(self.config)[3:], point[3:], strict=True)]
        other = self.attempt(point, others or beside, best.recall)
        errors, n_users = -errors_below(other.recall, best.recall), len(other.recall)
        is_better = errors > WORTH_MORE and n_users == len(best.recall)
        text = "taken" if is_better else f"not taken, after {n_users:,} users"
        log.info("%s: %+.1f standard errors, %s", other.point.choice().text, errors, text)
        return other if is_better else best

    def attempt(self, at: Point, others: Sequence[Sequence[float]], best: Floats | None = None) -> Attempt:
        """Fit ALS and item-kNN, try each combination of the other values, and add them to `found`.

        Parameters
        ----------
        at : a point with the factors, the half-life and the similarity
        others : weights, half-lives of the prior, powers
        best : recall of the best so far; the points are given up if all are clearly worse on the first users
        """
        own = configured(self.config)
        # ALS alone has no similarity: it is tried with the configured one.
        weights = [weight for weight in others[0] if weight or at.similarity == own.similarity]
        others = [weights, *others[1:]]
        fold = self.inner.reweighed(replace(self.config.encode, half_life_days=at.half_life_days))
        items = self._items(fold, at.factors, at.half_life_days)
        similar = self._similar(at.similarity) if any(others[0]) else None
        popularities = [fold.item_interactions.decayed(days) for days in others[1]]
        points = [Point(*at[:3], *values) for values in product(*others)]
        heats = Heats(
            # Not the max_users of the run, which may be too small to learn from.
            task=fold_task(fold, replace(self.config.evaluate, max_users=MAX_USERS)),
            model=Model(Als.of(items, self.config.train.regularization), ItemPrior.none(len(items)), similar, 1.0),
            weights=others[0],
            grid=PriorGrid.of(popularities, others[2], self.config.prior.short_history),
            k=self.config.evaluate.top_k,
        )
        keeps = points.index(own) if own in points else None
        reached = heats.run(self.config.train.seed, best, keeps=keeps, whole=self.whole)
        found = dict(zip(points, reached, strict=True))
        self.found.update(found)
        leading = best_of(found)
        return Attempt(leading, found[leading].recall)

    def _items(self, fold: EncodedFold, n_factors: int, half_life_days: float) -> Factors:
        """Item factors; those of the last attempt are kept, since another similarity needs no other ones."""
        key = n_factors, half_life_days
        if key not in self._factors:
            self._factors.clear()
            sweeps = min(self.config.train.iterations, MAX_SWEEPS)
            train = replace(self.config.train, factors=n_factors, iterations=sweeps)
            self._factors[key] = fit_als(fold.matrix, train)[0]
        return self._factors[key]

    def _similar(self, similarity: str) -> Similarities:
        if similarity not in self._similarities:
            config = replace(self.config.knn, similarity=similarity)
            self._similarities[similarity] = fit_similarities(self.inner.matrix, config)
        return self._similarities[similarity]


def _beside(axis: Sequence[float], value: float) -> Sequence[float]:
    """A value of an axis and those beside it."""
    at = axis.index(value)
    return axis[max(0, at - 1) : at + 2]


@dataclass(frozen=True, kw_only=True)
class Heats:
    """Weights of item-kNN and priors of one model, and the users on which they are judged."""

    task: Task
    model: Model
    weights: Sequence[float]
    grid: PriorGrid
    k: int

    def run(
        self, seed: int, best: Floats | None = None, *, keeps: int | None = None, whole: bool = False
    ) -> list[Found]:
        """What each point reaches, by weight, half-life and power.

        Parameters
        ----------
        seed : of the order of the users
        best : recall of a model that they have to be better than, of the users in the same order
        keeps : the point that is never dropped
        whole : judge all points on all users
        """
        order = np.random.default_rng(seed).permutation(len(self.task.rows))
        n_users = len(order)
        ends = [n_users] if whole else _ends(n_users)
        first, coverage = self._listed(order[: ends[0]])
        n_points = len(first)
        recall, judged, left = np.zeros((n_points, n_users)), np.full(n_points, ends[0]), np.ones(n_points, dtype=bool)
        recall[:, : ends[0]] = first
        for start, stop in pairwise(ends):
            left[left] = _stays(recall[left, :start], best, WORTH_MORE if 4 * start >= n_users else GIVEN_UP_EARLY)
            if keeps is not None:
                left[keeps] = True
            if not left.any():
                break
            recall[left, start:stop] = self._hits(order[start:stop], left)
            judged[left] = stop
        return [Found(recall[at, : judged[at]].copy(), float(coverage[at]), ends[0]) for at in range(n_points)]

    def _listed(self, users: Rows) -> tuple[Floats, Floats]:
        """Recall of some users at each point, shape (n_points, n_users), and coverage of their lists, (n_points,)."""
        from ..models.prior_kernels import count_hits

        n_points = len(self.weights) * len(self.grid.logs) * len(self.grid.powers)
        hits = np.zeros((n_points, len(users)), dtype=np.uint8)
        shown = np.zeros((n_points, self.task.seen.n_items), dtype=bool)
        step = max(64, LIST_BYTES // (4 * n_points * self.k))
        places = by_list(self.task.seen.take(users))
        for some in (places[start : start + step] for start in range(0, len(users), step)):
            lists = self.grid.best(self.model, self.weights, self.task.seen.take(users[some]), self.k)
            held = self._held(users[some])
            of_users = np.zeros(len(some), dtype=np.uint8)
            for at, best in enumerate(np.ascontiguousarray(lists.reshape(n_points, len(some), self.k))):
                count_hits(best, *held, of_users)
                hits[at, some] = of_users
                shown[at, best[best >= 0]] = True
        return hits / self.task.n_held[users], shown.mean(axis=1)

    def _hits(self, users: Rows, wanted: Flags) -> Floats:
        """Recall of some users at the wanted points, shape (n_wanted, n_users)."""
        shape = len(self.weights), len(self.grid.logs), len(self.grid.powers)
        found = np.empty((np.count_nonzero(wanted), len(users)))
        places = by_list(self.task.seen.take(users))
        ends = np.cumsum(self.task.n_held[users[places]], dtype=np.int64)
        # The flags of so many held-out items are held at once.
        part = (ends - 1) // max(1, LIST_BYTES // len(found))
        for at in np.split(places, np.flatnonzero(np.diff(part)) + 1):
            some, held = users[at], self._held(users[at])
            seen = self.task.seen.take(some)
            hits = self.grid.hits(self.model, self.weights, seen, held, self.k, wanted.reshape(shape))
            # All users have a held-out item.
            found[:, at] = np.add.reduceat(hits, held.indptr[:-1], axis=1, dtype=np.float64) / self.task.n_held[some]
        return found

    def _held(self, users: Rows) -> Held:
        """Held-out items of some users."""
        sizes = self.task.n_held[users]
        indptr = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        at = np.arange(indptr[-1]) + np.repeat(self.task.held_indptr[users] - indptr[:-1], sizes)
        return Held(indptr, self.task.held_items[at])


def _ends(n_users: int) -> list[int]:
    """The ends of the batches: FIRST_USERS, then twice as many each time; the last is at least half of all before."""
    ends = [n_users if n_users < 2 * FIRST_USERS else FIRST_USERS]
    while ends[-1] < n_users:
        ends.append(2 * ends[-1] if n_users >= 3 * ends[-1] else n_users)
    return ends


def _stays(recall: Floats, best: Floats | None, limit: float) -> Flags:
    """Which points are not far below the best, bool, shape (n_points,).

    Parameters
    ----------
    recall : of the first users, shape (n_points, n_users)
    best : of a model that they have to be better than
    limit : none stays if all are worse by more standard errors than this
    """
    leading = recall[recall.mean(axis=1).argmax()]
    if best is not None and errors_below(leading, best) > limit:
        return np.zeros(len(recall), dtype=bool)
    return np.array([errors_below(each, leading) <= DROPPED for each in recall])
