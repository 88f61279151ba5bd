"""irspack's iALS as a reference: conjugate gradients, with the loss of `implicit`."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from include.recommender.models.whitening import Factors


def fit_irspack(confidences: sparse.csr_matrix, *, factors: int, regularization: float, iterations: int) -> Factors:
    """Item factors, float32, shape (n_items, factors), of confidences of at least 1; irspack adds the 1 itself."""
    from irspack import IALSRecommender

    weights = confidences.copy()
    weights.data -= 1
    model = IALSRecommender(
        weights,
        n_components=factors,
        alpha0=1.0,
        reg=regularization,
        nu=0.0,
        loss_type="ORIGINAL",
        train_epochs=iterations,
        n_threads=os.cpu_count(),
    )
    with contextlib.redirect_stdout(io.StringIO()):  # a bar of progress
        model.learn()
    found: Factors = np.asarray(model.get_item_embedding(), dtype=np.float32)
    return found
