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


def parts(matrix: sparse.csr_matrix, item_factors, regularization: float, similar) -> tuple[np.ndarray, np.ndarray]:
    """What ALS and item-kNN say, each with a root mean square of 1 for a user of whom it knows something, float64.

    Parameters
    ----------
    similar : dense, shape (n_items, n_items)
    """
    level = matrix.copy()
    for row in range(matrix.shape[0]):
        if matrix.indptr[row + 1] - matrix.indptr[row] == 1:
            level.data[matrix.indptr[row]] = 1.0
    by_als = scores(level, item_factors, regularization)
    by_knn = level.toarray().astype(np.float64) @ similar.astype(np.float64)
    for found in (by_als, by_knn):
        for row in found:
            if row.any():
                row /= np.sqrt((row**2).mean())
    return by_als, by_knn


def multipliers(popularity, sizes, power: float, short_history: float) -> np.ndarray:
    """What scores of users of so many interactions are multiplied by, float64, shape (n, n_items)."""
    shares = np.maximum(popularity / popularity.max(), 1e-4)
    n = np.clip(sizes, 1, 10)[:, None]
    return np.maximum(shares ** (power * (1 + short_history / n)), 1e-30)
