"""Rivals: the simple models that a candidate must not lose to. They have no item prior."""

from __future__ import annotations

from collections.abc import Mapping

from .als.taste import Als
from .knn.similarities import Similarities
from .model import KNN_ALONE, Model
from .prior import ItemPrior
from .whitening import Factors

PLAIN_ALS, ITEM_KNN = "plain_als", "item_knn"
RIVALS = (PLAIN_ALS, ITEM_KNN)


def rivals_of(item_factors: Factors, similar: Similarities | None, regularization: float) -> Mapping[str, Model]:
    """Plain ALS, and item-kNN where there are similarities. ALS fills up lists for which there are too few neighbours.

    Parameters
    ----------
    item_factors : float32, shape (n_items, n_factors), fitted without ageing
    """
    als = Als.of(item_factors, regularization)
    prior = ItemPrior.none(len(item_factors))
    found = {PLAIN_ALS: Model(als, prior)}
    return found if similar is None else found | {ITEM_KNN: Model(als, prior, similar, KNN_ALONE)}
