"""One configuration at one point in time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..errors import ConfigError, RecommenderError
from ..evaluation.evaluate import fold_task, judge
from ..evaluation.learn_prior import learn_prior
from ..evaluation.metrics import Floats
from ..models.als import fit_als
from ..models.prior import ItemPrior, PriorAls, fit_prior
from ..models.protocol import Recommender, Rows, Scores
from .folds import without_rare

_LIBRARY = __name__.rpartition(".tuning")[0]


class CannotTrainError(RecommenderError):
    """A configuration with which nothing can be fitted: the search goes on without it."""


@dataclass(frozen=True)
class Judged:
    """recall : Recall@K of each judged user, float64, shape (n_judged,); coverage@K; prior : as it was learned"""

    recall: Floats
    coverage: float
    prior: dict[str, Any]


@dataclass(frozen=True)
class _Without:
    """A model that does not know some items."""

    model: Recommender
    unknown: np.ndarray[Any, np.dtype[np.bool_]]

    def score(self, rows: Rows) -> Scores:
        scores = self.model.score(rows)
        scores[:, self.unknown] = -np.inf
        return scores


def judge_configuration(fold: EncodedFold, config: RetrainConfig) -> Judged:
    """Fit a configuration on a fold's train part and judge it on its holdout.

    The judged users and what they have seen are those of the fold, whatever the configuration's minimum counts.

    Raises
    ------
    CannotTrainError
        The minimum counts leave nothing to train on, the fit diverged, or it needs more memory than there is.
    """
    train = without_rare(fold, config.encode)
    if not len(train.indices):
        raise CannotTrainError(
            f"min_user_interactions={config.encode.min_user_interactions}, "
            f"min_item_interactions={config.encode.min_item_interactions}: nothing is left to train on"
        )
    train = train.reweighed(config.encode)
    try:
        als, _ = fit_als(train.matrix, config.train)
        prior = learn_prior(train, config).applied(config.prior)
    except ConfigError as error:
        raise CannotTrainError(str(error)) from error
    strength = fit_prior(train.indices, train.times, len(train.item_codes), train.stats["cut_s"], prior)
    model: Recommender = PriorAls(als, ItemPrior.of(strength, prior), train.history)
    unknown = np.bincount(train.indices, minlength=len(train.item_codes)) == 0
    if unknown.any():
        model = _Without(model, unknown)
    outcome = judge({"trial": model}, fold_task(fold, config.evaluate), config.evaluate)["trial"]
    return Judged(outcome.recall, outcome.means[f"coverage@{config.evaluate.top_k}"], asdict(prior))


@contextmanager
def quietly() -> Iterator[None]:
    """Without a line an iteration and a prior: a search fits hundreds of times."""
    loggers = [logging.getLogger(f"{_LIBRARY}.{part}") for part in ("models", "evaluation")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def told(values: Mapping[str, Any]) -> str:
    """Values in a line of the log."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
