"""Evaluation of all users against training, and our exact ranking against two others, on one generated matrix.

Training is the configured number of iterations, evaluation one contestant, all metrics at every K. The other rankings
are the product of the same blocks with `numpy.argpartition` of whole rows, and `implicit`'s `recommend`.

    python -m benchmarks.evaluation [--interactions N] [--pairs N] ...
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from include.recommender.config import EvaluateConfig, PopularityConfig, PriorConfig, TrainConfig
from include.recommender.evaluation.evaluate import BLOCK_SCORES, MAX_BLOCK_ROWS, Task, judge, make_task, recommend_all
from include.recommender.models.als import Als, fit_als
from include.recommender.models.popularity import fit_popularity
from include.recommender.models.prior import ItemPrior, PriorAls
from include.recommender.models.protocol import Rows

from .generated import interactions
from .pairs import compare

K = 50


def judging(matrix: sparse.csr_matrix) -> Task:
    """Every user is judged on three random items."""
    n_users, n_items = matrix.shape
    held = np.random.default_rng(2).integers(0, n_items, 3 * n_users).astype(np.int32)
    rows, codes = np.arange(n_users, dtype=np.int32), np.arange(n_items, dtype=np.int32)
    return make_task(matrix, codes, rows, np.arange(0, 3 * n_users + 1, 3), held, EvaluateConfig(max_users=0))


def argpartition_all(model: Als, seen: sparse.csr_matrix, rows: Rows) -> np.ndarray:
    """The top K by partitioning whole rows, in the same blocks on as many threads."""
    block = max(1, min(MAX_BLOCK_ROWS, BLOCK_SCORES // seen.shape[1]))

    def rank(part: Rows) -> np.ndarray:
        scores = model.score(part)
        history = seen[part]
        scores[np.repeat(np.arange(len(part)), np.diff(history.indptr)), history.indices] = -np.inf
        best = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1)

    parts = [rows[start : start + block] for start in range(0, len(rows), block)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor() as pool:
        return np.concatenate(list(pool.map(rank, parts)))


def implicit_all(model: Als, seen: sparse.csr_matrix, rows: Rows) -> np.ndarray:
    """The top K by implicit's `recommend`."""
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):
        wrapped = AlternatingLeastSquares(factors=model.item_factors.shape[1])
        wrapped.user_factors, wrapped.item_factors = model.user_factors, model.item_factors
        return np.asarray(wrapped.recommend(rows, seen[rows], N=K, filter_already_liked_items=True)[0])


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
    model, _ = fit_als(matrix, config)
    times = np.zeros(matrix.nnz, dtype=np.int64)
    popular = fit_popularity(matrix.indices, times, given.items, 1, PopularityConfig())["popularity_all_time"]
    everybody = EvaluateConfig(max_users=0)
    prior = ItemPrior.of(np.bincount(matrix.indices, minlength=given.items).astype(np.float64), PriorConfig())
    blended = PriorAls(model, prior, np.diff(matrix.indptr).astype(np.int32))
    failed = False
    for name, contestant in (("ALS", model), ("ALS with item prior", blended), ("popularity", popular)):
        ours, training, ratio = compare(
            lambda contestant=contestant: judge({"it": contestant}, task, everybody),  # type: ignore[misc]
            lambda: fit_als(matrix, config),
            given.pairs,
        )
        failed |= ratio >= 1
        print(
            f"evaluating {name}: {ours:.2f} s; training, {config.iterations} iterations: {training:.2f} s; "
            f"ratio {ratio:.2f} (below 1)"
        )
    for name, rank in (("argpartition of whole rows", argpartition_all), ("implicit recommend", implicit_all)):
        ours, theirs, ratio = compare(
            lambda: recommend_all(model, matrix, task.rows, K),
            lambda rank=rank: rank(model, matrix, task.rows),  # type: ignore[misc]
            given.pairs,
        )
        same = (recommend_all(model, matrix, task.rows, K) == rank(model, matrix, task.rows)).mean()
        print(f"top {K}: {ours:.2f} s; {name}: {theirs:.2f} s; ratio {ratio:.2f}; {same:.4%} of the ranks are the same")
    sys.exit(failed)


if __name__ == "__main__":
    main()
