"""The model that is judged, published and served, built from its fitted parts."""

from __future__ import annotations

from ..config import RetrainConfig
from ..parameters.of_models import ALS, KNN
from .als.taste import Als
from .knn.similarities import Similarities
from .model import KNN_ALONE, Model
from .prior import ItemPopularity, ItemPrior
from .whitening import Factors


def model_of(
    item_factors: Factors, similar: Similarities | None, popularity: ItemPopularity, config: RetrainConfig
) -> Model:
    """Build the model of a configuration in which nothing is left to choose.

    Parameters
    ----------
    item_factors : float32, shape (n_items, n_factors), of `fit_als`
    similar : of `fit_similarities`; the family ALS has none
    popularity : float64, shape (n_items,), of `fit_prior`
    """
    prior = ItemPrior.of(popularity, config.prior)
    als = Als.of(item_factors, config.train.regularization, prior.multipliers[-1])
    return Model(als, prior, similar, knn_weight(config)) if needs_similarities(config) else Model(als, prior)


def needs_similarities(config: RetrainConfig) -> bool:
    """Whether the model has an item-kNN part."""
    return config.model.family != ALS


def knn_weight(config: RetrainConfig) -> float:
    """Weight of item-kNN in the sum; 0 without it."""
    if not needs_similarities(config):
        return 0.0
    return KNN_ALONE if config.model.family == KNN else config.model.knn_weight
