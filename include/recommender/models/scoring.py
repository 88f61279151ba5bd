"""The scoring model put together from what was fitted, in one place."""

from __future__ import annotations

from ..config import PriorConfig, TrainConfig
from .als import Als
from .prior import Counts, ItemPrior, PriorAls
from .whitening import Factors


def model_of(item_factors: Factors, popularity: Counts, train: TrainConfig, prior: PriorConfig) -> PriorAls:
    """What is judged, published and served.

    Parameters
    ----------
    item_factors : float32, shape (n_items, n_factors), as `fit_als` made them
    popularity : float64, shape (n_items,), as `fit_prior` counted it
    """
    return PriorAls(Als.of(item_factors, train.regularization), ItemPrior.of(popularity, prior))
