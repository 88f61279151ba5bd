"""Which items of a history speak for an item: the score of ALS as an exact sum over the history."""

from __future__ import annotations

import numpy as np

from .histories import Histories
from .whitening import Doubles, Whitened


def contributions(history: Histories, whitened: Whitened, taste: Doubles, item: int) -> Doubles:
    """Parts of the taste for an item, float64, one for each entry of a history; they add up to it, but for rounding.

    The half-step (I + S'DS) x~ = S'c says x~ = S'(c - D S x~): each item of the history enters the taste with the
    weight c - (c - 1) x~ . y~, and so the score with that times its similarity to the item (Hu et al. 2008, eq. 7).

    Parameters
    ----------
    history : of one user
    taste : of the same user, float64, shape (n_factors,), as `fold_in` found it
    item : a column
    """
    known = whitened.of(history.items)
    confidence = history.confidence.astype(np.float64)
    weights = confidence - (confidence - 1.0) * (known @ taste)
    found: Doubles = weights * (known @ whitened.of(np.array([item]))[0])
    return found
