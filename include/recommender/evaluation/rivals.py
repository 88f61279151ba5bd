"""Rivals are fitted without ageing, and judged from histories without it."""

from __future__ import annotations

from dataclasses import replace

from ..config import EncodeConfig, RetrainConfig
from ..data.encoding import EncodedFold
from ..models.als.training import TrainingCurve, fit_als
from ..models.knn.similarities import Similarities
from ..models.rivals import rivals_of
from ..models.whitening import Factors
from .evaluate import ModelEvaluation, Task, judge


def unaged(config: EncodeConfig) -> EncodeConfig:
    """The same confidences, whatever the age of an interaction."""
    return replace(config, half_life_days=0.0)


def fit_plain_als(fold: EncodedFold, config: RetrainConfig) -> tuple[Factors, TrainingCurve]:
    """Plain ALS with the configured factors; see `fit_als`."""
    return fit_als(fold.reweighed(unaged(config.encode)).matrix, config.train)


def judge_rivals(
    item_factors: Factors, similar: Similarities | None, fold: EncodedFold, task: Task, config: RetrainConfig
) -> dict[str, ModelEvaluation]:
    """Judge plain ALS, and item-kNN where there are similarities.

    Parameters
    ----------
    item_factors : of `fit_plain_als`
    """
    plain = fold.reweighed(unaged(config.encode)).histories.take(task.rows)
    return judge(rivals_of(item_factors, similar, config.train.regularization), task, config.evaluate, plain)
