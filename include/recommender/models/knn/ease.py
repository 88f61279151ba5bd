"""Weights of items from ridge regressions: EASE on the nearest neighbours.

EASE (Steck 2019) regresses each item on all others, in closed form. It needs a dense matrix of all items and its
inverse. Here each item is regressed on its nearest neighbours alone: one small system an item. SLIM does so with chosen
features (Ning and Karypis 2011). With all other items as neighbours the weights are those of EASE. Similarities count
twice what two neighbours have in common, a regression counts it once.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse

from ..cores import n_cores
from ..memory import require_memory
from .similarities import Longs, Similarities

log = logging.getLogger(__name__)

# More items, pairs of items that users share, and users of these take more time and memory than a choice may.
MOST_ITEMS, MOST_PAIRS, MOST_COUNTED = 50_000, 50_000_000, 500_000_000
BLOCK_ITEMS, MOST_BLOCKS = 256, 256
# Of a pair, and of an interaction and its transpose, while the pairs are counted.
PAIR_BYTES, ENTRY_BYTES = 12, 16


def slow_because(matrix: sparse.csr_matrix) -> str | None:
    """Why the weights of a matrix, see `learn_weights`, would not be learned in seconds; None if they are."""
    for found, most, what in (
        (_n_items(matrix), MOST_ITEMS, "items"),
        (n_pairs(matrix), MOST_PAIRS, "pairs of items that users share"),
        (_n_counted(matrix), MOST_COUNTED, "pairs of items of all users"),
    ):
        if found > most:
            return f"more than {most:,} {what}"
    return None


def fit_bytes(matrix: sparse.csr_matrix) -> int:
    """Peak memory of `learn_weights` in bytes, without the given matrix: while pairs are counted."""
    return PAIR_BYTES * n_pairs(matrix) + ENTRY_BYTES * int(matrix.nnz)


def n_pairs(matrix: sparse.csr_matrix) -> int:
    """The most pairs of items that users share, each in both orders, and items with themselves."""
    return min(_n_counted(matrix), _n_items(matrix) ** 2)


def _n_counted(matrix: sparse.csr_matrix) -> int:
    """The pairs of items of each user, one by one."""
    return int((np.diff(matrix.indptr).astype(np.int64) ** 2).sum())


def _n_items(matrix: sparse.csr_matrix) -> int:
    """Items with an interaction: a search drops rare items, and keeps their columns."""
    return int(np.count_nonzero(np.bincount(matrix.indices, minlength=matrix.shape[1])))


def learn_weights(
    matrix: sparse.csr_matrix, neighbours: Similarities, ridge: float, kept: int, threads: int = 0
) -> Similarities:
    """Regress each item on its neighbours, and keep the largest weights that an item has for others.

    Interactions count alike, and weights that are not above 0 are left out.

    Parameters
    ----------
    matrix : CSR, shape (n_users, n_items); only the places of its entries matter
    neighbours : of each item
    ridge : L2 regularization
    kept : most weights of an item
    threads : 0 uses all cores; the result does not depend on it

    Raises
    ------
    ConfigError
        The pairs of items need more than the free memory.
    """
    from .ease_kernels import solve_items

    require_memory(
        fit_bytes(matrix),
        f"EASE: {n_pairs(matrix):,} pairs of items that users share",
        "Take another knn_similarity than ease, set fit_similarity to false, or use a larger machine.",
    )
    ones = np.ones(matrix.nnz, dtype=np.int32)  # float32 would stop counting at 16.8 million users
    users = sparse.csr_matrix((ones, matrix.indices, matrix.indptr), shape=matrix.shape, copy=False)
    counts = (users.T.tocsr() @ users).tocsr()
    shared = counts.indptr.astype(np.int64), counts.indices.astype(np.int32, copy=False), counts.data
    sizes = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float64)
    lists, weights = (neighbours.indptr, neighbours.neighbours), np.empty(len(neighbours.values))
    n_items = neighbours.n_items
    log.info("EASE: regressing %s items on %s neighbours", f"{n_items:,}", f"{len(weights):,}")

    # Each block fills an array of all items.
    block = max(BLOCK_ITEMS, -(-n_items // MOST_BLOCKS))

    def solve(start: int) -> None:
        solve_items(shared, sizes, (start, min(start + block, n_items)), lists, ridge, weights)

    with ThreadPoolExecutor(threads or n_cores()) as pool:
        list(pool.map(solve, range(0, n_items, block)))
    found = sparse.csr_matrix((weights, neighbours.neighbours, neighbours.indptr), shape=(n_items, n_items))
    # A row of the regressions is what speaks for an item; one of the similarities, what an item speaks for.
    return Similarities.of(_largest(found.T.tocsr(), kept))


def _largest(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """The k largest entries of each row; of equal ones the first."""
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    at = np.flatnonzero(sizes[rows] > k)
    if not len(at):
        return matrix
    ordered = at[np.lexsort((matrix.indices[at], -matrix.data[at], rows[at]))]
    # Ordered by row, so those of a row begin where the row before it ends.
    ends: Longs = np.cumsum(np.where(sizes > k, sizes, 0))
    rank = np.arange(len(at)) - (ends - sizes)[rows[ordered]]
    kept = np.ones(matrix.nnz, dtype=bool)
    kept[ordered[rank >= k]] = False
    return sparse.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)
