"""The loss of weighted matrix factorization, estimated from a sample of users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..histories import Ints
from ..whitening import Doubles, Factors
from .side import gram_of

SAMPLE_USERS = 2_000
CHUNK_ENTRIES = 65_536


def loss_sample(n_users: int, seed: int) -> Ints:
    """The users over whom the loss is counted: at most SAMPLE_USERS, ascending, drawn by the seed."""
    drawn = np.random.default_rng(seed).choice(n_users, min(n_users, SAMPLE_USERS), replace=False)
    return np.sort(drawn).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Factors of sampled users and of all items, in coordinates in which their inner products are the scores.

    users : float32, shape (n_sampled, n_factors)
    items : float32, shape (n_items, n_factors)
    item_gram : float64, shape (n_factors, n_factors), of `items`
    user_squares, item_squares : added squared lengths of these users and of all items, in coordinates of their own
    """

    users: Factors
    items: Factors
    item_gram: Doubles
    user_squares: float
    item_squares: float

    @classmethod
    def of(cls, users: Factors, items: Factors) -> Sides:
        """From factors in coordinates of their own."""
        return cls(
            users=users,
            items=items,
            item_gram=gram_of(items),
            user_squares=float(np.square(users, dtype=np.float64).sum()),
            item_squares=float(np.square(items, dtype=np.float64).sum()),
        )


def loss_of(sampled: sparse.csr_matrix, sides: Sides, regularization: float, n_users: int) -> float:
    """What training minimizes, Hu et al. 2008, eq. 3, divided by the sum of all confidences.

    It is the sum over all pairs of c (p - score)^2, with p = 1 where known, and p = 0 and c = 1 where unknown, and
    regularization times the squared lengths of all factors. The Gram matrix of the items gives the sum over unknown
    pairs. Of the items' lengths the sample gets its share.

    Parameters
    ----------
    sampled : confidences of the sampled users, float32 CSR, shape (n_sampled, n_items)
    """
    users = sides.users.astype(np.float64)
    everything = float(np.einsum("ui,ij,uj->", users, sides.item_gram, users, optimize=True))
    total = sum(_known(sampled, sides, start) for start in range(0, sampled.nnz, CHUNK_ENTRIES))
    weights = float(sampled.data.sum(dtype=np.float64)) + sampled.shape[0] * sampled.shape[1] - sampled.nnz
    squares = sides.user_squares + sides.item_squares * sampled.shape[0] / n_users
    return (everything + total + regularization * squares) / weights


def _known(sampled: sparse.csr_matrix, sides: Sides, start: int) -> float:
    """What some known pairs change: c (1 - s)^2 - s^2 = c - 2 c s + (c - 1) s^2."""
    stop = min(start + CHUNK_ENTRIES, sampled.nnz)
    rows = np.searchsorted(sampled.indptr, np.arange(start, stop), side="right") - 1
    items = sides.items[sampled.indices[start:stop]]
    score = np.einsum("ij,ij->i", sides.users[rows], items, dtype=np.float64)
    c = sampled.data[start:stop].astype(np.float64)
    return float((c - 2 * c * score + (c - 1) * score**2).sum())
