"""Fitting of item-kNN, by the nearest neighbours of `implicit`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from ...config import KnnConfig
from ...parameters.of_models import BM25, EASE, TFIDF
from ..cores import n_cores
from ..memory import require_memory
from .ease import learn_weights
from .similarities import Similarities

log = logging.getLogger(__name__)

# Robertson and Zaragoza 2009; the values that implicit takes by default.
K1, B = 1.2, 0.75
# Neighbours that EASE regresses an item on: with 100 it is as good, and takes twice the time.
REGRESSED = 50


def fit_similarities(matrix: sparse.csr_matrix, config: KnnConfig, threads: int = 0) -> Similarities:
    """The nearest neighbours of each item by the users that they share.

    Interactions count alike, whatever their confidence: confidences weigh where a history is scored. EASE takes the
    neighbours by BM25, and learns how much they weigh, see `learn_weights`.

    Parameters
    ----------
    matrix : CSR, shape (n_users, n_items); only the places of its entries matter
    threads : 0 uses all cores; the result does not depend on it

    Raises
    ------
    ConfigError
        The fit needs more than the free memory.
    """
    if config.similarity == EASE:
        nearest = fit_similarities(matrix, replace(config.plain, neighbours=min(config.neighbours, REGRESSED)), threads)
        return learn_weights(matrix, nearest, config.regularization, config.neighbours, threads)
    from implicit.nearest_neighbours import all_pairs_knn

    check_memory(matrix.shape[1], matrix.nnz, config)
    users_of_items = sparse.csr_matrix((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    log.info(
        "Item-kNN: %d neighbours by %s of %s items, %s interactions",
        config.neighbours,
        config.similarity,
        f"{matrix.shape[1]:,}",
        f"{matrix.nnz:,}",
    )
    weighted = _weighted(users_of_items.T.tocsr(), config.similarity)
    # It takes the users as rows, and gives one entry more than is wanted: an item is the nearest to itself.
    users = weighted.T.tocsr()
    del weighted
    return Similarities.of(
        all_pairs_knn(users, config.neighbours + 1, num_threads=threads or n_cores(), show_progress=False)
    )


def check_memory(n_items: int, nnz: int, config: KnnConfig) -> None:
    """Raise ConfigError if the fit needs more than the free memory; see `fit_bytes`."""
    counted = f"knn_neighbours={config.neighbours}: the neighbours of {n_items:,} items"
    advice = "Take fewer neighbours, raise the minimum counts, or use a larger machine."
    require_memory(fit_bytes(n_items, nnz, config), counted, advice)


def fit_bytes(n_items: int, nnz: int, config: KnnConfig) -> int:
    """Peak memory of a fit in bytes, without the given matrix: that of weighing or of ordering what was found.

    Weighing takes 56 an interaction: a number by user 8, by item and weighted 12 each, and the squares of the weights,
    of TF-IDF and cosine, 24. Ordering takes 20 an interaction, which the weights still have, and 48 a neighbour:
    implicit fills its lists up to the full number, 16 each, and what is kept is copied and ordered in 32.
    """
    lists = n_items * (config.neighbours + 1)
    return max(56 * nnz, 20 * nnz + 48 * lists)


def _weighted(items: sparse.csr_matrix, similarity: str) -> sparse.csr_matrix:
    """Weights of the users of each item, float64 CSR, shape (n_items, n_users).

    As rows are compared by their inner products, cosine and TF-IDF rows have length 1.
    """
    if similarity == BM25:
        return _bm25(items)
    weighted = items.copy()
    if similarity == TFIDF:
        weighted.data = _rarity(items)[items.indices]
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted.data /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(weighted.indptr))
    return weighted


def _bm25(items: sparse.csr_matrix) -> sparse.csr_matrix:
    """BM25: a user counts the less, the more interactions the user and the item have."""
    sizes = np.diff(items.indptr).astype(np.float64)
    # Items without an interaction are none of the catalogue: a search drops rare items, and keeps their columns.
    norm = 1.0 - B + B * sizes / sizes[sizes > 0].mean() if sizes.any() else sizes
    weighted = items.copy()
    weighted.data = _rarity(items)[items.indices] * np.repeat((K1 + 1.0) / (K1 * norm + 1.0), np.diff(items.indptr))
    return weighted


def _rarity(items: sparse.csr_matrix) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Inverse document frequency of each user, float64, shape (n_users,)."""
    n_items, n_users = np.count_nonzero(np.diff(items.indptr)), items.shape[1]
    of_user = np.bincount(items.indices, minlength=n_users).astype(np.float64)
    found: np.ndarray[Any, np.dtype[np.float64]] = np.log(max(1, int(n_items)) / (1.0 + of_user))
    return found
