"""Choose family, similarity, factors, ageing and item prior on a time split inside the train part."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..data.inner import inner_fold
from ..models.choice import Choice
from ..models.knn.ease import fit_bytes as ease_bytes
from ..models.knn.ease import slow_because
from ..models.memory import MatrixSize, limit_bytes, needed_bytes
from .chosen import ChosenModel, TriedModel
from .grid import Point, axes, configured
from .metrics import Floats
from .race import Found, errors_below, tried

log = logging.getLogger(__name__)

# Standard errors of the paired difference; not a test, see `choose_model`.
CLEARLY_WORSE = 1.645
MIN_USERS = 30
MAX_INTERACTIONS = 2_000_000
# Of the machine's memory. The rest is for Airflow, and for what a training loads besides.
USABLE_MEMORY = 0.75


def choose_model(
    fold: EncodedFold, config: RetrainConfig, largest: int | None = None, no_ease: str | None = None
) -> ChosenModel:
    """Return the model of the grid nearest to the configured one that is not clearly worse than the best.

    Only points between the configured one and the best are candidates, and none that `tried` dropped. "Clearly worse"
    means more than CLEARLY_WORSE standard errors of the paired difference below the best (like the one-standard-error
    rule of Breiman et al. 1984). This is an estimate that is shrunk towards the configuration, not a test. Of the
    points that `recall_given_up` allows below the chosen one, that of the largest coverage is taken. All is fitted on
    the older part of train, so it has not seen the inner holdout, and the holdout of the gate has no part in it.

    Parameters
    ----------
    largest : the most factors that are tried; by default `affordable_factors`
    no_ease : why EASE is not tried; by default `unaffordable_ease`
    """
    no_ease, note = no_ease or unaffordable_ease(fold, config), ""
    if no_ease and len(axes(config).similarities) > 1:
        config, note = without_ease(config), f"; EASE was not tried: {no_ease}"
    if not chooses(config):
        return _as_configured(config, f"as configured{note}", 0)
    inner = inner_fold(fold, config.encode, MAX_INTERACTIONS, config.train.seed)
    n_users = len(inner.holdout_rows) if inner else 0
    if inner is None or n_users < MIN_USERS:
        return _as_configured(config, f"as configured: {n_users} users are too few to choose by", n_users)
    largest, whole = largest or affordable_factors(fold, config), config.model.recall_given_up > 0
    chosen = chosen_of(tried(inner, _for_inner(fold, config), largest, whole=whole), config)
    if largest < axes(config).factors[-1] and chosen.choice.factors == largest:
        note += f"; more than {largest} factors do not fit into this machine's memory, and were not tried"
    return msgspec.structs.replace(chosen, why=f"{chosen.why}{note}")


def chooses(config: RetrainConfig) -> bool:
    """Whether anything is left to choose."""
    return any(len(axis) > 1 for axis in axes(config))


def without_ease(config: RetrainConfig) -> RetrainConfig:
    """The configuration with its own similarity alone."""
    return replace(config, model=replace(config.model, fit_similarity=False))


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
    why += "".join(f"; {text}" for text in _at_edges(chosen, config))
    rows = [
        TriedModel(
            choice=point.choice(),
            recall=_on_all_users(each.recall, recalls[best]),
            coverage=each.coverage,
            errors_below=below[point],
            clearly_worse=below[point] > CLEARLY_WORSE,
            judged_users=len(each.recall),
        )
        for point, each in found.items()
    ]
    n_users = len(recalls[best])
    log.info("Chosen: %s (%s; %s users of an inner time split)", chosen.choice().text, why, f"{n_users:,}")
    return ChosenModel(
        choice=chosen.choice(), why=why, judged_users=n_users, listed_users=found[best].listed_users, tried=rows
    )


def _on_all_users(recall: Floats, best: Floats) -> float:
    """Recall on all users; of a model that was dropped, that of the best less what it lost to it on the first users."""
    if len(recall) == len(best):
        return float(recall.mean())
    lost = float((best[: len(recall)] - recall).mean())
    return min(max(0.0, float(best.mean()) - lost), 1.0)


def _at_edges(chosen: Point, config: RetrainConfig) -> list[str]:
    """Where a chosen value of the prior is the last that was tried, so that one beyond it may be better."""
    tried = axes(config)
    days, powers = tried.prior_half_lives_days, tried.powers
    found = []
    if chosen.power > 0 and len(days) > 1 and chosen.prior_half_life_days in (days[0], days[-1]):
        which, other = ("shortest", "smaller") if chosen.prior_half_life_days == days[0] else ("longest", "larger")
        found.append(f"its prior half-life is the {which} that was tried: a {other} prior_half_life_days may be better")
    if len(powers) > 1 and chosen.power == powers[-1]:
        found.append("its prior power is the largest that was tried: a larger prior_power may be better")
    return found


def _as_configured(config: RetrainConfig, why: str, n_users: int) -> ChosenModel:
    return ChosenModel(choice=Choice.of(config), why=why, judged_users=n_users, listed_users=0, tried=[])


def nearest(recalls: Mapping[Point, Floats], own: Point, limit: float) -> tuple[Point, Point, dict[Point, float]]:
    """Return the chosen point, the best, and the distance of each below the best, in standard errors.

    Parameters
    ----------
    recalls : at each point, see `Found`; only one that was judged on all users is the best or chosen
    own : the configured point, one of them
    limit : standard errors below the best that are clearly worse
    """
    values = [sorted(set(axis)) for axis in zip(*recalls, strict=True)]
    place = {point: tuple(axis.index(value) for axis, value in zip(values, point, strict=True)) for point in recalls}

    def steps(point: Point) -> int:
        return sum(abs(one - other) for one, other in zip(place[point], place[own], strict=True))

    n_users = max(map(len, recalls.values()))
    left = [point for point, recall in recalls.items() if len(recall) == n_users]
    # Among equal points the nearest: without power, all half-lives are equal.
    best = max(left, key=lambda point: (float(recalls[point].mean()), -steps(point)))
    below = {point: errors_below(recall, recalls[best]) for point, recall in recalls.items()}
    # A point on the other side passes only by noise: it would be a step against the evidence.
    between = [
        point
        for point in left
        if below[point] <= limit
        and all(min(a, b) <= at <= max(a, b) for at, a, b in zip(place[point], place[own], place[best], strict=True))
    ]
    return min(between, key=lambda point: (steps(point), below[point])), best, below


def _widest(found: Mapping[Point, Found], chosen: Point, given_up: float) -> Point:
    """Of the points whose recall is at least that of the chosen one but for a share, that of the largest coverage."""
    least = (1 - given_up) * float(found[chosen].recall.mean())
    allowed = [point for point, each in found.items() if float(each.recall.mean()) >= least]
    return max(allowed, key=lambda point: (found[point].coverage, float(found[point].recall.mean())))


def _for_inner(fold: EncodedFold, config: RetrainConfig) -> RetrainConfig:
    """The configuration for a part of the interactions: EASE counts users, so its regularization is a part, too."""
    share = min(1.0, MAX_INTERACTIONS / max(1, fold.matrix.nnz))
    return replace(config, knn=replace(config.knn, regularization=share * config.knn.regularization))


def unaffordable_ease(fold: EncodedFold, config: RetrainConfig) -> str | None:
    """Why EASE would take too long or too much memory to train on this machine; None if it does not.

    See `affordable_factors`. The inner fold has a part of the interactions only, so this is not decided there.
    """
    needed = ease_bytes(fold.matrix) / (1 - config.encode.holdout_fraction)
    if needed > USABLE_MEMORY * limit_bytes():
        return f"it needs about {needed / 1e9:.1f} GB, too much for this machine's memory"
    return slow_because(fold.matrix)


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
