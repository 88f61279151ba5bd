"""Which items of a history speak for an item: its score as an exact sum over the history."""

from __future__ import annotations

import numpy as np

from .als.fold_in import fold_in
from .histories import Histories
from .knn.similarities import Similarities, root_mean_squares
from .model import Model, levelled
from .whitening import Doubles, Whitened


def contributions(model: Model, history: Histories, item: int) -> Doubles:
    """Parts of the score of an item, float64, one for each entry of a history; they add up to it, but for rounding.

    Where nothing is known of the history, its score is the popularity of the item, and the parts are 0.

    Parameters
    ----------
    history : of one user
    item : a column
    """
    multiplier = model.prior.multiplier(len(history.items), item)
    if model.similar is None:
        return _by_als(history, model.als.whitened, item, scaled=False) * multiplier
    known = levelled(history)
    by_als = _by_als(known, model.als.whitened, item, scaled=True)
    found: Doubles = (by_als + model.knn_weight * _by_neighbours(known, model.similar, item)) * multiplier
    return found


def _by_als(history: Histories, whitened: Whitened, item: int, *, scaled: bool) -> Doubles:
    """The half-step (I + S'DS) x~ = S'c says x~ = S'(c - D S x~): each item of the history enters the taste with the
    weight c - (c - 1) x~ . y~, and so the score with that times its similarity to the item (Hu et al. 2008, eq. 7).
    """
    taste = fold_in(history, whitened)
    known, confidence = whitened.of(history.items), history.confidence.astype(np.float64)
    weights = confidence - (confidence - 1.0) * (known @ taste[0])
    parts: Doubles = weights * (known @ whitened.of(np.array([item]))[0])
    scale = float(whitened.root_mean_squares(taste)[0]) if scaled else 1.0
    return parts / scale if scale > 0 else parts


def _by_neighbours(history: Histories, similar: Similarities, item: int) -> Doubles:
    """Confidence times similarity of each item of the history, on the scale of `root_mean_squares`."""
    parts = history.confidence.astype(np.float64) * similar.to(history.items, item)
    scale = float(root_mean_squares(similar.scores(history))[0])
    return parts / scale if scale > 0 else parts
