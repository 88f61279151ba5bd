"""Exact lists against the float32 product that they need at least, CPU seconds of one thread.

product       the scores of all users in blocks, by one float32 matrix product each, and nothing else
lists         fold-in, product, prior, seen items left out, exact top K: what evaluation and batch run
all exact     the same, with every item scored in float64 instead of a shortlist

python -m benchmarks.ranking [--pairs N] [--factors N] [--items N ...] [--users N] [--block N]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

from include.recommender.config import PriorConfig
from include.recommender.models.als.taste import Als
from include.recommender.models.histories import Histories
from include.recommender.models.model import Model
from include.recommender.models.prior import ItemPrior
from include.recommender.models.ranking import best_unseen
from include.recommender.models.shortlist import shortlist

from .generated import interactions
from .pairs import compare

REGULARIZATION, K = 20.0, 10


def model_of(n_items: int, n_factors: int) -> Model:
    """A model whose items are as popular as generated interactions make them."""
    rng = np.random.default_rng(1)
    factors = (0.3 * rng.standard_normal((n_items, n_factors))).astype(np.float32)
    popularity = rng.permutation(np.arange(1, n_items + 1) ** -0.9) * n_items
    return Model(Als.of(factors, REGULARIZATION), ItemPrior.of(popularity, PriorConfig()))


def product(model: Model, users: np.ndarray, block: int) -> None:
    """The named reference: one float32 product a block."""
    items = model.als.whitened.vectors
    out = np.empty((block, len(items)), dtype=np.float32)
    for start in range(0, len(users), block):
        part = users[start : start + block]
        np.matmul(part, items.T, out=out[: len(part)])


def lists(model: Model, histories: Histories, block: int, *, exact: bool) -> None:
    """The best K of each user."""
    for start in range(0, len(histories), block):
        part = histories.take(np.arange(start, min(start + block, len(histories))))
        if exact:
            best_unseen(model.score(part), part, K)
        else:
            shortlist(model.scoring(part), part, K)


def main() -> None:
    """Print users a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="runs of each, in turn (default: %(default)s)")
    parser.add_argument("--factors", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--items", type=int, nargs="+", default=[20_000, 160_000], help="default: %(default)s")
    parser.add_argument("--users", type=int, default=2_000, help="default: %(default)s")
    parser.add_argument("--block", type=int, default=50, help="users of one product (default: %(default)s)")
    given, clock = parser.parse_args(), time.process_time
    print(f"{'items':>9}{'users/s':>10}{'product/lists':>16}{'all exact/lists':>18}")
    with threadpool_limits(1, "blas"):
        for n_items in given.items:
            model = model_of(n_items, given.factors)
            matrix = interactions(4 * given.users, given.users, n_items)
            histories = Histories.of(matrix[np.diff(matrix.indptr) > 0])
            users = model.scoring(histories).tastes.astype(np.float32)
            ours = lambda: lists(model, histories, given.block, exact=False)  # noqa: B023, E731
            own_s, _, of_product = compare(ours, lambda: product(model, users, given.block), given.pairs, clock)  # noqa: B023
            _, _, of_exact = compare(ours, lambda: lists(model, histories, given.block, exact=True), given.pairs, clock)  # noqa: B023
            print(
                f"{n_items:>9,}{len(histories) / own_s:>10,.0f}{1 / of_product:>16.2f}{1 / of_exact:>18.2f}", flush=True
            )


if __name__ == "__main__":
    main()
