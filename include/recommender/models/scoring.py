"""The scoring model, built from fitted factors and popularity."""

from __future__ import annotations

from ..config import PriorConfig, TrainConfig
from .als.taste import Als
from .prior import ItemPopularity, ItemPrior, PriorAls
from .whitening import Factors


def model_of(item_factors: Factors, popularity: ItemPopularity, train: TrainConfig, prior: PriorConfig) -> PriorAls:
    """Return the model that is judged, published and served.

    Parameters
    ----------
    item_factors : float32, shape (n_items, n_factors), of `fit_als`
    popularity : float64, shape (n_items,), of `fit_prior`
    """
    item_prior = ItemPrior.of(popularity, prior)
    return PriorAls(Als.of(item_factors, train.regularization, item_prior.multipliers[-1]), item_prior)
