"""Evaluation of all users against training, and our exact ranking against two others, on one generated matrix.

Training is the configured number of iterations, evaluation one model, all metrics at every K. The other rankings
are the product of the same blocks with `numpy.argpartition` of whole rows, and `implicit`'s `recommend`.

    python -m benchmarks.evaluation [--interactions N] [--pairs N] ...
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from include.recommender.config import EvaluateConfig, KnnConfig, PopularityConfig, RetrainConfig, TrainConfig
from include.recommender.evaluation.evaluate import Task, judge, make_task
from include.recommender.models.als.reference import user_factors
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.histories import Histories
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.model import Model
from include.recommender.models.popularity import ItemInteractions, fit_popularity
from include.recommender.models.ranking import BLOCK_SCORES, MAX_BLOCK_ROWS, recommend_all
from include.recommender.models.scoring import model_of
from include.recommender.models.whitening import Factors

from .generated import interactions
from .pairs import compare

K = 50


def judging(matrix: sparse.csr_matrix) -> Task:
    """Every user is judged on three random items."""
    n_users, n_items = matrix.shape
    held = np.random.default_rng(2).integers(0, n_items, 3 * n_users).astype(np.int32)
    rows, codes = np.arange(n_users, dtype=np.int32), np.arange(n_items, dtype=np.int32)
    indptr, everybody = np.arange(0, 3 * n_users + 1, 3), EvaluateConfig(max_users=0)
    return make_task(Histories.of(matrix), codes, rows, indptr, held, config=everybody)


def argpartition_all(model: Als, histories: Histories) -> np.ndarray:
    """The top K by partitioning whole rows, in the same blocks on as many threads."""
    block = max(1, min(MAX_BLOCK_ROWS, BLOCK_SCORES // histories.n_items))

    def rank(part: np.ndarray) -> np.ndarray:
        history = histories.take(part)
        scores = model.score(history)
        scores[history.rows, history.items] = -np.inf
        best = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1)

    parts = np.split(np.arange(len(histories)), range(block, len(histories), block))
    with threadpool_limits(1, "blas"), ThreadPoolExecutor() as pool:
        return np.concatenate(list(pool.map(rank, parts)))


def implicit_all(users: Factors, items: Factors, seen: sparse.csr_matrix) -> np.ndarray:
    """The top K by implicit's `recommend`, of users whose factors are known already."""
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):
        wrapped = AlternatingLeastSquares(factors=items.shape[1])
        wrapped.user_factors, wrapped.item_factors = users, items
        return np.asarray(wrapped.recommend(np.arange(len(users)), seen, N=K, filter_already_liked_items=True)[0])


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--users", type=int, default=30_000, help="all of them are judged (default: %(default)s)")
    parser.add_argument("--items", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument("--factors", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each, in turn (default: %(default)s)")
    given = parser.parse_args()
    matrix = interactions(given.interactions, given.users, given.items)
    config, task = TrainConfig(factors=given.factors), judging(matrix)
    print(f"{matrix.nnz:,} generated interactions of {given.users:,} users and {given.items:,} items, all judged")
    factors, _ = fit_als(matrix, config)
    counts = np.bincount(matrix.indices, minlength=given.items).astype(np.float64)
    similar = fit_similarities(matrix, KnnConfig())
    blended = model_of(factors, similar, counts, RetrainConfig(train=config))
    times = np.zeros(matrix.nnz, dtype=np.int64)
    train = ItemInteractions(items=matrix.indices, times=times, n_items=given.items, split_s=1)
    popular = fit_popularity(train, PopularityConfig())["popularity_all_time"]
    everybody, failed = EvaluateConfig(max_users=0), False
    by_als = Model(blended.als, blended.prior)
    models = (
        ("ALS", blended.als),
        ("ALS with item prior", by_als),
        ("with item-kNN", blended),
        ("popularity", popular),
    )
    for name, model in models:
        ours, training, ratio = compare(
            lambda model=model: judge({"it": model}, task, everybody),  # type: ignore[misc]
            lambda: fit_als(matrix, config),
            given.pairs,
        )
        failed |= ratio >= 1
        print(
            f"evaluating {name}: {ours:.2f} s; training, {config.iterations} iterations: {training:.2f} s; "
            f"ratio {ratio:.2f} (below 1)"
        )
    users = user_factors(matrix, factors, config.regularization)
    others: dict[str, Callable[[], np.ndarray]] = {
        "argpartition of whole rows": lambda: argpartition_all(blended.als, task.seen),
        "implicit recommend of stored users": lambda: implicit_all(users, factors, matrix),
    }
    for name, rank in others.items():
        ours, theirs, ratio = compare(lambda: recommend_all(blended.als, task.seen, task.seen, K), rank, given.pairs)
        same = (recommend_all(blended.als, task.seen, task.seen, K) == rank()).mean()
        print(f"top {K}: {ours:.2f} s; {name}: {theirs:.2f} s; ratio {ratio:.2f}; {same:.4%} of the ranks are the same")
    sys.exit(failed)


if __name__ == "__main__":
    main()
