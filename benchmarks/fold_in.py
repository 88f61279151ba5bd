"""Users folded in from their histories: ours against implicit's exact and conjugate-gradient half-steps, one thread.

All three solve the same users against the same item factors. Ours whitens the items once; that is not counted, as a
server does it when it loads a model. implicit computes the Gram matrix of the items in each call, and so at each call
of a server; it is counted. The shapes: Digital Music (13,786 users, mean history 6), a 5-core (mean history 9), and raw
reviews (70 % of users with one interaction).

    python -m benchmarks.fold_in [--pairs N] [--factors N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from include.recommender.models.als.fold_in import fold_in
from include.recommender.models.histories import Histories
from include.recommender.models.whitening import Factors, Whitened

from .generated import interactions
from .pairs import compare

REGULARIZATION = 20.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Of one set of histories; `extra_singles` users with one interaction come on top."""

    name: str
    n_interactions: int
    n_users: int
    n_items: int
    extra_singles: int = 0

    def matrix(self) -> sparse.csr_matrix:
        """Generated confidences, float32 CSR."""
        matrix = interactions(self.n_interactions, self.n_users, self.n_items)
        rng = np.random.default_rng(3)
        items = rng.choice(matrix.indices, self.extra_singles).astype(np.int32)
        confidence = (1 + 100 * rng.random(self.extra_singles)).astype(np.float32)
        parts = (confidence, items, np.arange(self.extra_singles + 1))
        singles = sparse.csr_matrix(parts, shape=(self.extra_singles, self.n_items))
        return sparse.csr_matrix(sparse.vstack([matrix, singles], format="csr"))


SHAPES = (
    Shape(name="digital music", n_interactions=85_557, n_users=13_786, n_items=9_990),
    Shape(name="5-core", n_interactions=450_000, n_users=50_000, n_items=30_000),
    Shape(name="raw reviews", n_interactions=120_000, n_users=15_000, n_items=30_000, extra_singles=35_000),
)


def of_implicit(matrix: sparse.csr_matrix, items: Factors, *, exact: bool) -> Callable[[], object]:
    """A half-step of the users by implicit's compiled code."""
    from implicit.cpu import _als

    solve = _als.least_squares if exact else _als.least_squares_cg

    def run() -> Factors:
        users = np.zeros((matrix.shape[0], items.shape[1]), dtype=np.float32)
        solve(matrix, users, items, REGULARIZATION, num_threads=1)
        return users

    return run


def main() -> None:
    """Print users a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="runs of each, in turn (default: %(default)s)")
    parser.add_argument("--factors", type=int, default=64, help="default: %(default)s")
    given = parser.parse_args()
    columns = (f"{'users':>9}", f"{'mean':>7}", f"{'users/s':>10}", "   exact, ours/implicit", "   CG, ours/implicit")
    print(f"{'shape':<16}" + "".join(columns))
    with threadpool_limits(1, "blas"):
        for shape in SHAPES:
            matrix = shape.matrix()
            rng = np.random.default_rng(1)
            items = (0.3 * rng.standard_normal((shape.n_items, given.factors))).astype(np.float32)
            histories, whitened = Histories.of(matrix), Whitened.of_factors(items, REGULARIZATION)
            ratios = []
            for exact in (True, False):
                theirs = of_implicit(matrix, items, exact=exact)
                ours, _, ratio = compare(lambda: fold_in(histories, whitened), theirs, given.pairs)  # noqa: B023
                ratios.append(ratio)
            n_users = len(histories)
            print(
                f"{shape.name:<16}{n_users:>9,}{matrix.nnz / n_users:>7.1f}{n_users / ours:>10,.0f}"
                f"{ratios[0]:>24.2f}{ratios[1]:>20.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
