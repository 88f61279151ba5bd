"""The judgement of one configuration on one split."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..errors import ConfigError, RecommenderError
from ..evaluation.evaluate import fold_task, judge
from ..evaluation.fitting import fit
from ..evaluation.metrics import Floats
from ..models.choice import Choice
from ..models.columns import InColumns
from ..models.protocol import ScoringModel
from .folds import without_rare

_LIBRARY = __name__.rpartition(".tuning")[0]


class CannotTrainError(RecommenderError):
    """A configuration that cannot be fitted; the search continues without it."""


@dataclass(frozen=True)
class TrialJudgement:
    """recall : Recall@K of each judged user, float64, shape (n_judged,); coverage@K; choice : the judged model"""

    recall: Floats
    coverage: float
    choice: Choice


def judge_configuration(fold: EncodedFold, config: RetrainConfig) -> TrialJudgement:
    """Fit a configuration on a fold's train part and judge it on its holdout.

    The judged users and what they have seen are those of the fold, whatever the configuration's minimum counts.

    Raises
    ------
    CannotTrainError
        The minimum counts leave no train interaction, the fit diverged, or it needs more than the free memory.
    """
    train = without_rare(fold, config.encode)
    if not len(train.indices):
        raise CannotTrainError(
            f"min_user_interactions={config.encode.min_user_interactions}, "
            f"min_item_interactions={config.encode.min_item_interactions}: no train interaction is left"
        )
    try:
        fitted = fit(train.reweighed(config.encode), config)
    except ConfigError as error:
        raise CannotTrainError(str(error)) from error
    known = np.bincount(train.indices, minlength=len(train.item_codes)) > 0
    model: ScoringModel = fitted.model
    if not known.all():
        model = InColumns(model, np.where(known, np.arange(len(known)), -1))
    task = fold_task(fold, config.evaluate)
    outcome = judge({"trial": model}, task, config.evaluate, fitted.fold.histories.take(task.rows))["trial"]
    coverage = outcome.means[f"coverage@{config.evaluate.top_k}"]
    return TrialJudgement(outcome.recall, coverage, fitted.chosen.choice)


@contextmanager
def quietly() -> Iterator[None]:
    """Silence the log lines of each iteration and prior: a search fits hundreds of times."""
    loggers = [logging.getLogger(f"{_LIBRARY}.{part}") for part in ("models", "evaluation")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
