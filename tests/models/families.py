"""A model of each family, of random items, neighbours and popularity."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.config import PriorConfig
from include.recommender.models.als.taste import Als
from include.recommender.models.histories import Histories
from include.recommender.models.knn.similarities import Similarities
from include.recommender.models.model import KNN_ALONE, Model
from include.recommender.models.prior import ItemPrior

from .test_fold_in import items_of

# Of item-kNN; 0 is ALS alone.
WEIGHTS = {"als": 0.0, "a little": 0.01, "half": 0.5, "much": 100.0, "knn": KNN_ALONE}
SUMS = {name: weight for name, weight in WEIGHTS.items() if weight}
weights = st.sampled_from(list(WEIGHTS.values()))
each_family = pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
each_sum = pytest.mark.parametrize("weight", SUMS.values(), ids=SUMS)


def similar_of(n_items, seed=0, groups=None, span=(-4.0, 2.0), most=12):
    """Random similarities over several magnitudes. A third of the items has no neighbours.

    Parameters
    ----------
    groups : items of one group are neighbours alike, so that item-kNN does not tell them apart
    span : decimal exponents of the values
    """
    rng = np.random.default_rng(seed)
    groups = np.arange(n_items) if groups is None else groups
    n = int(groups.max()) + 1
    degrees = rng.integers(0, most + 1, n) * (rng.random(n) < 2 / 3)
    rows, columns = np.repeat(np.arange(n), degrees), rng.integers(0, n, degrees.sum())
    values = 10.0 ** rng.uniform(*span, len(rows))
    return Similarities.of(sparse.csr_matrix((values, (rows, columns)), shape=(n, n))[groups][:, groups])


def model_of(n_items, n_factors, weight=0.0, *, twins=False, blank=False, power=0.4, seed=0, scale=1.0, **similar):
    """A model with an item prior.

    Parameters
    ----------
    weight : of item-kNN; 0 is ALS alone
    twins : items that no score tells apart
    blank : about half of the items say nothing to ALS
    """
    rng = np.random.default_rng(seed)
    items, groups = items_of(n_items, n_factors) * np.float32(scale), None
    if twins:
        groups = rng.integers(0, max(1, n_items // 4), n_items)
        items = items[groups]
    if blank:
        items[items[:, 0] < 0] = 0
    popularity = np.floor(rng.pareto(0.7, n_items)) if not twins else np.ones(n_items)
    prior = ItemPrior.of(popularity, PriorConfig(power=power, short_history=1.0))
    found = similar_of(n_items, seed, groups, **similar) if weight else None
    return Model(Als.of(items, 5.0, prior.multipliers[-1]), prior, found, weight)


def of_als(model):
    """The same without item-kNN."""
    return replace(model, similar=None, knn_weight=0.0)


def scaled(histories, factor):
    """The same histories with other confidences."""
    confidence = (histories.confidence * factor).astype(np.float32)
    return Histories(histories.indptr, histories.items, confidence, histories.n_items)
