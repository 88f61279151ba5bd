"""Learn power and half-life of the item prior on a time split inside the train part."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from ..config import PriorConfig, RetrainConfig
from ..data.encoding import EncodedFold
from ..data.inner import inner_fold
from ..models.als.taste import Als
from ..models.als.training import fit_als
from ..models.prior_grid import PriorGrid
from ..parameters.of_models import SHORTEST_HALF_LIFE_DAYS
from .evaluate import fold_task, recall_of
from .learned_prior import LearnedPrior, PriorPoint
from .metrics import Floats

log = logging.getLogger(__name__)

POWERS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5)
# Of the configured half-life.
HALF_LIVES = (0.25, 0.5, 1.0, 2.0, 4.0)
# Standard errors of the paired difference; not a test, see `learn_prior`.
CLEARLY_WORSE = 1.645
MIN_USERS = 30
MAX_INTERACTIONS = 2_000_000
MAX_USERS = 16_000

Point = tuple[float, float]  # half-life in days, power


def learn_prior(fold: EncodedFold, config: RetrainConfig) -> LearnedPrior:
    """Return the point of the grid nearest to the configured one that is not clearly worse than the best.

    Only points between the configured one and the best are candidates. "Clearly worse" means more than CLEARLY_WORSE
    standard errors of the paired difference below the best (like the one-standard-error rule of Breiman et al. 1984).
    This is an estimate that is shrunk towards the configuration, not a test: if all points are equal, one training in
    three moves. A rule that moves less often was not better anywhere (benchmarks/prior_rules.py). The factors are
    fitted again on the older part of train, so they have not seen the inner holdout.
    """
    prior = config.prior
    own = (prior.half_life_days, prior.power)
    if not prior.fit:
        return _as_configured(prior, "as configured", 0)
    inner = inner_fold(fold, config.encode, MAX_INTERACTIONS, config.train.seed)
    n_users = len(inner.holdout_rows) if inner else 0
    if inner is None or n_users < MIN_USERS:
        return _as_configured(prior, f"as configured: {n_users} users are too few to learn it", n_users)
    place = grid(prior)
    recalls = grid_recalls(inner, list(place), config)
    chosen, best, below = nearest(recalls, place, own, CLEARLY_WORSE)
    why = "the best of those tried"
    if chosen != best:
        why = (
            f"nearest to the configured that is not clearly worse than the best, power {best[1]:g} and {best[0]:g} days"
        )
    tried = [
        PriorPoint(
            half_life_days=days,
            power=power,
            recall=float(recalls[days, power].mean()),
            errors_below=errors,
            clearly_worse=errors > CLEARLY_WORSE,
        )
        for (days, power), errors in below.items()
    ]
    n_users = len(recalls[own])
    shown = (chosen[1], chosen[0], why, f"{n_users:,}")
    log.info("Power of the item prior %g, half-life %g days: %s (%s users of an inner time split)", *shown)
    return LearnedPrior(power=chosen[1], half_life_days=chosen[0], why=why, judged_users=n_users, tried=tried)


def _as_configured(prior: PriorConfig, why: str, n_users: int) -> LearnedPrior:
    return LearnedPrior(power=prior.power, half_life_days=prior.half_life_days, why=why, judged_users=n_users, tried=[])


def grid(prior: PriorConfig) -> dict[Point, tuple[int, int]]:
    """The points of the grid, including the configured one, with the indices of their half-life and power."""
    half_lives = sorted({max(SHORTEST_HALF_LIFE_DAYS, prior.half_life_days * times) for times in HALF_LIVES})
    powers = sorted({*POWERS, prior.power})
    return {(days, power): (i, j) for i, days in enumerate(half_lives) for j, power in enumerate(powers)}


def nearest(
    recalls: Mapping[Point, Floats], place: Mapping[Point, tuple[int, int]], own: Point, limit: float
) -> tuple[Point, Point, dict[Point, float]]:
    """Return the chosen point, the best, and the distance of each below the best, in standard errors.

    Parameters
    ----------
    recalls : of the same users at each point, float64, shape (n_users,)
    place : indices of each point in the grid; the distance is counted in steps
    own : the configured point
    limit : standard errors below the best that are clearly worse
    """

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
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    return float(difference.mean()) / error if error else 0.0


def grid_recalls(inner: EncodedFold, points: list[Point], config: RetrainConfig) -> dict[Point, Floats]:
    """Recall@K of the judged users of a fold with each prior; factors and taste are computed once."""
    als = Als.of(fit_als(inner.matrix, config.train)[0], config.train.regularization)
    # Not the max_users of the run, which may be too small to learn from.
    task = fold_task(inner, replace(config.evaluate, max_users=MAX_USERS))
    half_lives, powers = (sorted({point[axis] for point in points}) for axis in (0, 1))
    train, k = inner.item_interactions, config.evaluate.top_k
    grid = PriorGrid.of([train.decayed(days) for days in half_lives], powers, config.prior.short_history)
    best = grid.best(als, task.seen, k)
    return {
        (days, power): recall_of(best[half_lives.index(days), powers.index(power)], task, k) for days, power in points
    }
