"""Variety: a list whose items differ from each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models.histories import Ints
from ..models.protocol import Scores
from ..models.similar import Similarity
from .request import Filters

Places = np.ndarray[Any, np.dtype[np.int64]]


def varied(similarity: Similarity, items: Ints, scores: Scores, filters: Filters) -> Places:
    """Places of `items` in the order of maximal marginal relevance (Carbonell and Goldstein 1998).

    Each next item maximises (1 - variety) * relevance - variety * its largest cosine with an item chosen before.
    Relevance is the score, from 0 for the least of `items` to 1 for the best.
    """
    vectors = similarity.directions.of(items)
    least, most = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    relevance = (scores - least).astype(np.float64) / (float(most - least) if most > least else 1.0)
    nearest, chosen = np.full(len(items), -1.0), np.zeros(len(items), dtype=bool)
    order: list[int] = []
    for _ in range(min(filters.shown, len(items))):
        value = (1 - filters.variety) * relevance - filters.variety * np.maximum(nearest, 0.0)
        best = int(np.argmax(np.where(chosen, -np.inf, value)))
        order.append(best)
        chosen[best] = True
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return np.array(order, dtype=np.int64)
