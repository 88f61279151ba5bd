"""The plain half-step of ALS, one user after the other in float64: what every faster scoring is compared with."""

import numpy as np
from scipy import sparse


def fold_in(matrix: sparse.csr_matrix, item_factors, regularization: float) -> np.ndarray:
    """Users' factors, float64, shape (n, n_factors) (Hu et al. 2008, eq. 4)."""
    Y = item_factors.astype(np.float64)
    base = Y.T @ Y + regularization * np.eye(Y.shape[1])
    out = np.zeros((matrix.shape[0], Y.shape[1]))
    for row in range(matrix.shape[0]):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        own, c = Y[matrix.indices[span]], matrix.data[span].astype(np.float64)
        out[row] = np.linalg.solve(base + (own.T * (c - 1)) @ own, own.T @ c)
    return out


def scores(matrix: sparse.csr_matrix, item_factors, regularization: float) -> np.ndarray:
    """Their inner products with all items, float64."""
    return fold_in(matrix, item_factors, regularization) @ item_factors.T.astype(np.float64)
