"""Choose family, factors, ageing and item prior on a time split inside the train part."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import msgspec
import numpy as np

from ..config import PriorConfig, RetrainConfig
from ..data.encoding import EncodedFold
from ..data.inner import inner_fold
from ..models.als.taste import Als
from ..models.als.training import fit_als
from ..models.choice import Choice
from ..models.knn.fitting import fit_similarities
from ..models.knn.similarities import Similarities
from ..models.memory import MatrixSize, limit_bytes, needed_bytes
from ..models.model import KNN_ALONE, Model
from ..models.prior import ItemPrior
from ..models.prior_grid import PriorGrid, by_list
from ..parameters.definition import MOST_DAYS
from ..parameters.of_models import ALS, BLEND, KNN, MOST_FACTORS, SHORTEST_HALF_LIFE_DAYS
from .chosen import ChosenModel, TriedModel
from .evaluate import Task, fold_task
from .metrics import Floats

log = logging.getLogger(__name__)

# Of the configured factors; more are tried as long as they are better.
FACTORS = (1, 2, 4)
# Of item-kNN in the sum; 0 is ALS alone, and KNN_ALONE item-kNN alone.
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, KNN_ALONE)
POWERS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5)
# Half-life of confidences that stands for none.
NO_AGEING = 0.0
# Of the configured half-life of the prior.
HALF_LIVES = (0.25, 0.5, 1.0, 2.0, 4.0)
# Standard errors of the paired difference; not a test, see `choose_model`.
CLEARLY_WORSE = 1.645
# Standard errors by which no ageing, or more factors, must be better, for others to be tried beside them.
WORTH_MORE = 1.0
# Standard errors of a difference that is the same for all users.
CERTAIN = 1e6
MIN_USERS = 30
MAX_INTERACTIONS = 2_000_000
MAX_USERS = 16_000
# Of the machine's memory. The rest is for Airflow, and for what a training loads besides.
USABLE_MEMORY = 0.75
# Of the lists that are held at once.
LIST_BYTES = 100_000_000
# Fewer sweeps than a training has choose as well (benchmarks/choices.py).
MAX_SWEEPS = 8


class Point(NamedTuple):
    """One model that is tried.

    weight : of item-kNN
    half_life_days : of confidences; 0 is no ageing
    """

    factors: int
    half_life_days: float
    weight: float
    prior_half_life_days: float
    power: float

    def choice(self) -> Choice:
        """The values of the configuration that make it."""
        family = ALS if self.weight == 0 else KNN if self.weight == KNN_ALONE else BLEND
        return Choice(
            family=family,  # type: ignore[arg-type]
            knn_weight=self.weight if family == BLEND else 0.0,
            factors=self.factors,
            half_life_days=self.half_life_days,
            prior_power=self.power,
            prior_half_life_days=self.prior_half_life_days,
        )


@dataclass(frozen=True)
class Found:
    """What a model reached: Recall@K of each judged user, float64, shape (n_users,), and coverage@K."""

    recall: Floats
    coverage: float


def choose_model(fold: EncodedFold, config: RetrainConfig, largest: int | None = None) -> ChosenModel:
    """Return the model of the grid nearest to the configured one that is not clearly worse than the best.

    Only points between the configured one and the best are candidates. "Clearly worse" means more than CLEARLY_WORSE
    standard errors of the paired difference below the best (like the one-standard-error rule of Breiman et al. 1984).
    This is an estimate that is shrunk towards the configuration, not a test. Of the points that `recall_given_up`
    allows below the chosen one, that of the largest coverage is taken. All is fitted on the older part of train, so it
    has not seen the inner holdout, and the holdout of the gate has no part in it.

    Parameters
    ----------
    largest : the most factors that are tried; by default `affordable_factors`
    """
    if not chooses(config):
        return _as_configured(config, "as configured", 0)
    inner = inner_fold(fold, config.encode, MAX_INTERACTIONS, config.train.seed)
    n_users = len(inner.holdout_rows) if inner else 0
    if inner is None or n_users < MIN_USERS:
        return _as_configured(config, f"as configured: {n_users} users are too few to choose by", n_users)
    largest = largest or affordable_factors(fold, config)
    chosen = chosen_of(tried(inner, config, largest), config)
    if largest < axes(config).factors[-1] and chosen.choice.factors == largest:
        why = f"{chosen.why}; more than {largest} factors do not fit into this machine's memory, and were not tried"
        chosen = msgspec.structs.replace(chosen, why=why)
    return chosen


def chooses(config: RetrainConfig) -> bool:
    """Whether anything is left to choose."""
    model = config.model
    return model.fit_family or model.fit_factors or model.fit_ageing or config.prior.fit


def chosen_of(found: Mapping[Point, Found], config: RetrainConfig) -> ChosenModel:
    """Apply the rule of `choose_model` to what was tried."""
    own = configured(config)
    recalls = {point: each.recall for point, each in found.items()}
    chosen, best, below = nearest(recalls, own, CLEARLY_WORSE)
    why = "the best of those tried"
    if chosen != best:
        what = "as configured, which is not" if chosen == own else "nearest to the configured that is not"
        why = f"{what} clearly worse than the best: {best.choice().text}"
    given_up = config.model.recall_given_up
    if given_up:
        chosen = _widest(found, chosen, given_up)
        why += f"; the largest coverage at {1 - given_up:.1%} of its recall"
    rows = [
        TriedModel(
            choice=point.choice(),
            recall=float(each.recall.mean()),
            coverage=each.coverage,
            errors_below=below[point],
            clearly_worse=below[point] > CLEARLY_WORSE,
        )
        for point, each in found.items()
    ]
    n_users = len(recalls[own])
    log.info("Chosen: %s (%s; %s users of an inner time split)", chosen.choice().text, why, f"{n_users:,}")
    return ChosenModel(choice=chosen.choice(), why=why, judged_users=n_users, tried=rows)


def _as_configured(config: RetrainConfig, why: str, n_users: int) -> ChosenModel:
    return ChosenModel(choice=Choice.of(config), why=why, judged_users=n_users, tried=[])


def configured(config: RetrainConfig) -> Point:
    """The point of the configuration."""
    weights = {ALS: 0.0, KNN: KNN_ALONE}
    weight = weights.get(config.model.family, config.model.knn_weight)
    return Point(
        config.train.factors, config.encode.half_life_days, weight, config.prior.half_life_days, config.prior.power
    )


class Axes(NamedTuple):
    """The values that are tried, by the fields of `Point`. Each holds the configured value, those of fits first."""

    factors: list[int]
    half_lives_days: list[float]
    weights: list[float]
    prior_half_lives_days: list[float]
    powers: list[float]


def axes(config: RetrainConfig) -> Axes:
    """The values that are tried with a configuration."""
    own, prior, model = configured(config), config.prior, config.model
    factors = [times * own.factors for times in FACTORS if times * own.factors <= MOST_FACTORS]
    return Axes(
        factors if model.fit_factors else [own.factors],
        list(dict.fromkeys([own.half_life_days, NO_AGEING])) if model.fit_ageing else [own.half_life_days],
        sorted({*WEIGHTS, own.weight}) if model.fit_family else [own.weight],
        _half_lives(prior) if prior.fit else [prior.half_life_days],
        sorted({*POWERS, prior.power}) if prior.fit else [prior.power],
    )


def _half_lives(prior: PriorConfig) -> list[float]:
    tried = (prior.half_life_days * times for times in HALF_LIVES)
    return sorted({min(max(SHORTEST_HALF_LIFE_DAYS, days), MOST_DAYS) for days in tried})


def nearest(recalls: Mapping[Point, Floats], own: Point, limit: float) -> tuple[Point, Point, dict[Point, float]]:
    """Return the chosen point, the best, and the distance of each below the best, in standard errors.

    Parameters
    ----------
    recalls : of the same users at each point, float64, shape (n_users,)
    own : the configured point
    limit : standard errors below the best that are clearly worse
    """
    values = [sorted(set(axis)) for axis in zip(*recalls, strict=True)]
    place = {point: tuple(axis.index(value) for axis, value in zip(values, point, strict=True)) for point in recalls}

    def steps(point: Point) -> int:
        return sum(abs(one - other) for one, other in zip(place[point], place[own], strict=True))

    # Among equal points the nearest: without power, all half-lives are equal.
    best = max(recalls, key=lambda point: (float(recalls[point].mean()), -steps(point)))
    below = {point: _errors_below(recalls[best] - recall) for point, recall in recalls.items()}
    # A point on the other side passes only by noise: it would be a step against the evidence.
    between = [
        point
        for point in recalls
        if below[point] <= limit
        and all(min(a, b) <= at <= max(a, b) for at, a, b in zip(place[point], place[own], place[best], strict=True))
    ]
    return min(between, key=lambda point: (steps(point), below[point])), best, below


def _errors_below(difference: Floats) -> float:
    mean, error = float(difference.mean()), float(difference.std(ddof=1)) / len(difference) ** 0.5
    return mean / error if error else float(CERTAIN * np.sign(mean))


def _widest(found: Mapping[Point, Found], chosen: Point, given_up: float) -> Point:
    """Of the points whose recall is at least that of the chosen one but for a share, that of the largest coverage."""
    least = (1 - given_up) * float(found[chosen].recall.mean())
    allowed = [point for point, each in found.items() if float(each.recall.mean()) >= least]
    return max(allowed, key=lambda point: (found[point].coverage, float(found[point].recall.mean())))


def affordable_factors(fold: EncodedFold, config: RetrainConfig) -> int:
    """The most factors of the grid with which everything can be trained on this machine.

    It counts with all memory that the machine or its container has, so that the choice does not depend on what else
    runs at the moment, and with the interactions of the holdout, which the published model learns from too. The
    configured factors are always tried: their fit says what is wrong.
    """
    factors, *more = axes(config).factors
    size = MatrixSize.of(fold.matrix).times(1 / (1 - config.encode.holdout_fraction))
    usable = USABLE_MEMORY * limit_bytes()
    return max([factors, *(n for n in more if needed_bytes(size, replace(config.train, factors=n)) <= usable)])


def tried(inner: EncodedFold, config: RetrainConfig, largest: int = MOST_FACTORS) -> dict[Point, Found]:
    """What the points reach on the holdout of a fold, by one fit of ALS for each number of factors and half-life.

    The configured factors and half-life are tried with all weights and priors. Then no ageing, and then more factors,
    up to `largest`, are tried with those beside the best so far. They take its place if they are better by more than
    WORTH_MORE standard errors. Still more factors follow as long as they do.
    """
    factors, half_lives, *others = axes(config)
    trying = Trying(inner, config, fit_similarities(inner.matrix, config.knn) if any(others[0]) else None)
    found = trying.reached(factors[0], half_lives[0], others)
    best = _best(found)
    for days in half_lives[1:] if np.ptp(inner.times) else []:
        best, _ = trying.better(best._replace(half_life_days=days), best, found)
    for n_factors in [each for each in factors[1:] if each <= largest]:
        best, is_better = trying.better(best._replace(factors=n_factors), best, found)
        if not is_better:
            break
    return found


@dataclass(frozen=True)
class Trying:
    """A fold on whose holdout points are tried, with the similarities of its items, if an item-kNN part is tried."""

    inner: EncodedFold
    config: RetrainConfig
    similar: Similarities | None

    def better(self, point: Point, best: Point, found: dict[Point, Found]) -> tuple[Point, bool]:
        """Try the points beside one; return the best of them, if it is better by more than WORTH_MORE, or `best`."""
        beside = [_beside(axis, value) for axis, value in zip(axes(self.config)[2:], point[2:], strict=True)]
        more = self.reached(point.factors, point.half_life_days, beside)
        found |= more
        other = _best(more)
        errors = _errors_below(found[other].recall - found[best].recall)
        is_better = errors > WORTH_MORE
        log.info("%s: %+.1f standard errors, %s", other.choice().text, errors, "taken" if is_better else "not taken")
        return (other if is_better else best), is_better

    def reached(self, n_factors: int, half_life_days: float, others: Sequence[Sequence[float]]) -> dict[Point, Found]:
        """Fit ALS; what it reaches with each of the other values."""
        fold = self.inner.reweighed(replace(self.config.encode, half_life_days=half_life_days))
        # Not the max_users of the run, which may be too small to learn from.
        task = fold_task(fold, replace(self.config.evaluate, max_users=MAX_USERS))
        als = _fitted(fold, n_factors, self.config)
        model = Model(als, ItemPrior.none(len(als.whitened.vectors)), self.similar, 1.0)
        found = _reached(model, others, fold=fold, task=task, config=self.config)
        return {Point(n_factors, half_life_days, *values): each for values, each in found.items()}


def _fitted(fold: EncodedFold, n_factors: int, config: RetrainConfig) -> Als:
    sweeps = min(config.train.iterations, MAX_SWEEPS)
    train = replace(config.train, factors=n_factors, iterations=sweeps)
    return Als.of(fit_als(fold.matrix, train)[0], train.regularization)


def _beside(axis: Sequence[float], value: float) -> Sequence[float]:
    """A value of an axis and those beside it."""
    at = axis.index(value)
    return axis[max(0, at - 1) : at + 2]


def _best(found: Mapping[Point, Found]) -> Point:
    return max(found, key=lambda point: float(found[point].recall.mean()))


def _reached(
    model: Model, others: Sequence[Sequence[float]], *, fold: EncodedFold, task: Task, config: RetrainConfig
) -> dict[tuple[float, ...], Found]:
    """What a model reaches with each weight, half-life and power of the prior."""
    from ..models.prior_kernels import count_hits

    weights, half_lives, powers = others
    popularities = [fold.item_interactions.decayed(days) for days in half_lives]
    grid = PriorGrid.of(popularities, powers, config.prior.short_history)
    points, k = list(product(*others)), config.evaluate.top_k
    order, n_held = by_list(task.seen), task.n_held
    held = np.split(task.held_items, task.held_indptr[1:-1])
    hits = np.zeros((len(points), len(order)), dtype=np.uint8)
    shown = np.zeros((len(points), task.seen.n_items), dtype=bool)
    step = max(64, LIST_BYTES // (4 * len(points) * k))
    for users in (order[start : start + step] for start in range(0, len(order), step)):
        lists = grid.best(model, weights, task.seen.take(users), k).reshape(len(points), len(users), k)
        indptr = np.concatenate([[0], np.cumsum(n_held[users], dtype=np.int64)])
        items = np.concatenate([held[user] for user in users])
        of_users = np.zeros(len(users), dtype=np.uint8)
        for at, best in enumerate(np.ascontiguousarray(lists)):
            count_hits(best, indptr, items, of_users)
            hits[at, users] = of_users
            shown[at, best[best >= 0]] = True
    coverage = shown.mean(axis=1)
    return {point: Found(hits[at] / n_held, float(coverage[at])) for at, point in enumerate(points)}
