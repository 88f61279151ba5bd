"""How much the item prior weighs, learned on a time split inside the train part."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..data.inner import inner_fold
from ..models.als import fit_als
from ..models.prior import ItemPrior, PriorAls, fit_prior
from .evaluate import fold_task, judge
from .metrics import Floats

log = logging.getLogger(__name__)

POWERS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5)
MIN_USERS = 30
MAX_INTERACTIONS = 5_000_000
MAX_USERS = 10_000


@dataclass(frozen=True)
class Power:
    """The chosen power, and why.

    tried : for each power its Recall@K on the inner holdout, and how far below the best it lies, in standard errors
    """

    power: float
    why: str
    judged_users: int
    tried: list[dict[str, float]]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def fit_power(fold: EncodedFold, config: RetrainConfig) -> Power:
    """The first power, on the way from the configured to the best on an inner time split, not clearly worse than that.

    "Not clearly worse" is within one standard error of the paired difference (the one-standard-error rule of Breiman
    et al. 1984, with the configured power in the place of the simplest model): evidence moves the power, noise does
    not. The factors are fitted anew on the older part of train, so they have not seen what they are judged on.
    """
    prior = config.prior
    if not prior.fit_power:
        return Power(prior.power, "as configured", 0, [])
    inner = inner_fold(fold, config.encode, MAX_INTERACTIONS, config.train.seed)
    n_users = len(inner.holdout_rows) if inner else 0
    if inner is None or n_users < MIN_USERS:
        return Power(prior.power, f"as configured: {n_users} users are too few to learn it", n_users, [])
    powers = sorted({*POWERS, prior.power})
    recalls = _recalls(inner, powers, config)
    n_users = len(recalls[0])
    tried, best = _compared(recalls, powers), int(np.argmax([row.mean() for row in recalls]))
    # Only on the way: a power on the other side, that noise lets through, would be a step against the evidence.
    own = powers.index(prior.power)
    way = range(own, best + 1) if own <= best else range(own, best - 1, -1)
    chosen = next(powers[at] for at in way if tried[at]["errors_below"] <= 1)
    why = "the best of those tried"
    if chosen != powers[best]:
        why = f"nearest to {prior.power:g} within one standard error of the best, {powers[best]:g}"
    log.info("Power of the item prior: %g, %s (%s users of an inner time split)", chosen, why, f"{n_users:,}")
    return Power(chosen, why, n_users, tried)


def _recalls(inner: EncodedFold, powers: list[float], config: RetrainConfig) -> list[Floats]:
    als, _ = fit_als(inner.matrix, config.train)
    strength = fit_prior(inner.indices, inner.times, len(inner.item_codes), inner.stats["cut_s"], config.prior)
    # Each power ranks the whole catalogue for every user: a sample bounds what all of them cost.
    # Not by the run's own max_users: so few may be asked for there that they teach nothing.
    judging = replace(config.evaluate, max_users=MAX_USERS)
    task = fold_task(inner, judging)
    models = {
        f"power {power:g}": PriorAls(als, ItemPrior.of(strength, replace(config.prior, power=power)), inner.history)
        for power in powers
    }
    return [row.recall for row in judge(models, task, judging).values()]


def _compared(recalls: list[Floats], powers: list[float]) -> list[dict[str, float]]:
    best = max(recalls, key=lambda row: float(row.mean()))
    rows = []
    for power, recall in zip(powers, recalls, strict=True):
        below = best - recall
        error = float(below.std(ddof=1)) / len(below) ** 0.5
        rows.append(
            {
                "power": power,
                "recall": float(recall.mean()),
                "errors_below": float(below.mean()) / error if error else 0.0,
            }
        )
    return rows
