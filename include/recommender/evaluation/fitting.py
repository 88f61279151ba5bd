"""Fit a whole model on a fold: choose its family, factors and prior, then fit its parts."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..models.als.training import TrainingCurve, fit_als
from ..models.knn.fitting import fit_similarities
from ..models.model import Model
from ..models.prior import fit_prior
from ..models.scoring import model_of, needs_similarities
from .choose import choose_model
from .chosen import ChosenModel


@dataclass(frozen=True)
class Fit:
    """A model, what was chosen for it, and its training curve.

    fold : the fold with the confidences of the model
    """

    fold: EncodedFold
    model: Model
    chosen: ChosenModel
    curve: TrainingCurve


def fit(fold: EncodedFold, config: RetrainConfig) -> Fit:
    """Fit on the train part of a fold. Raises ConfigError and DataError as `fit_als` does."""
    chosen = choose_model(fold, config)
    fixed = chosen.choice.applied(config)
    fold = fold.reweighed(fixed.encode)
    factors, curve = fit_als(fold.matrix, fixed.train)
    similar = fit_similarities(fold.matrix, fixed.knn) if needs_similarities(fixed) else None
    popularity = fit_prior(fold.item_interactions, fixed.prior)
    return Fit(fold, model_of(factors, similar, popularity, fixed), chosen, curve)
