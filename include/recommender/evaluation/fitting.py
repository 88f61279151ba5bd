"""Fit a whole model on a fold: ALS, then the parameters of the prior, then the prior, then the model."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..models.als.training import TrainingCurve, fit_als
from ..models.prior import ItemPopularity, PriorAls, fit_prior
from ..models.scoring import model_of
from .learn_prior import learn_prior
from .learned_prior import LearnedPrior


@dataclass(frozen=True)
class Fit:
    """A model, the learned parameters of its prior, and its training curve."""

    model: PriorAls
    learned: LearnedPrior
    curve: TrainingCurve


def fit(fold: EncodedFold, config: RetrainConfig) -> Fit:
    """Fit on the train part of a fold. Raises ConfigError and DataError as `fit_als` does."""
    factors, curve = fit_als(fold.matrix, config.train)
    learned = learn_prior(fold, config)
    popularity = fold_popularity(fold, learned, config)
    model = model_of(factors, popularity, config.train, learned.applied(config.prior))
    return Fit(model, learned, curve)


def fold_popularity(fold: EncodedFold, learned: LearnedPrior, config: RetrainConfig) -> ItemPopularity:
    """The item prior of a fold's train part with the learned parameters, float64, shape (n_items,)."""
    return fit_prior(fold.item_interactions, learned.applied(config.prior))
