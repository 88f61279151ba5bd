"""Generated interactions of a realistic shape: few popular items, many rare ones, most users with short histories."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def interactions(n_interactions: int, n_users: int, n_items: int, seed: int = 1) -> sparse.csr_matrix:
    """Confidences between 1 and 21, float32 CSR, shape (n_users, n_items).

    Users and items are drawn from power laws (exponents .6 and .9 of the rank); a pair drawn twice counts once, and is
    replaced by further draws until about `n_interactions` pairs are there.
    """
    rng = np.random.default_rng(seed)
    user_of, item_of = _shuffled_power_law(rng, n_users, 0.6), _shuffled_power_law(rng, n_items, 0.9)
    pairs = np.zeros(0, dtype=np.int64)
    while len(pairs) < n_interactions:
        missing = n_interactions - len(pairs)
        drawn = user_of(missing) * np.int64(n_items) + item_of(missing)
        fresh = np.unique(np.concatenate([pairs, drawn]))
        if len(fresh) < len(pairs) + missing // 20:
            break
        pairs = fresh
    users, items = np.divmod(pairs, n_items)
    confidence = (1 + 20 * rng.random(len(pairs))).astype(np.float32)
    return sparse.csr_matrix((confidence, (users, items)), shape=(n_users, n_items))


def _shuffled_power_law(rng: np.random.Generator, size: int, exponent: float):  # type: ignore[no-untyped-def]
    cumulative = np.cumsum(np.arange(1, size + 1) ** -exponent)
    names = rng.permutation(size)
    return lambda n: names[np.searchsorted(cumulative, rng.random(n) * cumulative[-1])]
