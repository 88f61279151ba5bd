"""Popularity and ALS on a fixed split with published results, through this project's own fit and evaluation.

The split is MovieLens-1M of the SpectralCF authors; the results are those of Ferrari Dacrema et al., "A Troubling
Analysis of Reproducibility and Progress in ScoringModel Systems Research" (ACM TOIS 39(2), 2021), who divide recall by
all held-out items, as we do, and average precision by min(K, held-out items), as we do.

    python -m benchmarks.published [directory]
    python -m benchmarks.published [directory] --as-reviews ml1m.jsonl.gz [--held-out 0.2]

The directory holds train_users.dat and test_users.dat, each line: user item item ... The second command writes the same
interactions as reviews, for other benchmarks: the test part, or a random part of all, is a week younger than the rest,
which has one time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
from pathlib import Path

import numpy as np
from scipy import sparse

from include.recommender.config import EvaluateConfig, PopularityConfig, TrainConfig
from include.recommender.evaluation.evaluate import Task, judge, make_task
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.histories import Histories
from include.recommender.models.popularity import ItemInteractions, fit_popularity
from include.recommender.models.protocol import ScoringModel

POPULARITY = {"recall@20": 0.0382, "recall@40": 0.0969, "recall@100": 0.2286}
ALS = {"recall@20": 0.0868, "recall@40": 0.1441, "recall@100": 0.2621, "map@20": 0.0188}
TOLERANCE = 0.004

ALPHA, EPSILON = 1.7077, 0.001
EARLIER_S, WEEK_S = 1_500_000_000, 7 * 86_400
CONFIG = TrainConfig(factors=22, regularization=1e-5, iterations=75)


def default_directory() -> Path:
    """Where the split lies: below RECOMMENDER_SHARED_DATA, else beside the project in shared/data."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("RECOMMENDER_SHARED_DATA") or beside) / "published" / "ml1m_SpectralCF"


def read_split(directory: Path) -> tuple[sparse.csr_matrix, Task]:
    """Train as confidences, and the judging of every user with held-out items."""
    train, test = _read(directory / "train_users.dat"), _read(directory / "test_users.dat")
    n_items = 1 + max(int(items.max()) for rows in (train, test) for items in rows.values())
    rows = np.repeat(list(train), [len(items) for items in train.values()])
    columns = np.concatenate(list(train.values()))
    confidence = np.full(len(rows), 1 + ALPHA * np.log(1 + 1 / EPSILON), dtype=np.float32)
    matrix = sparse.csr_matrix((confidence, (rows, columns)), shape=(max(train) + 1, n_items))
    indptr = np.cumsum([0, *(len(items) for items in test.values())])
    users, held = np.array(list(test), dtype=np.int32), np.concatenate(list(test.values()))
    item_codes = np.arange(n_items, dtype=np.int32)
    everybody = EvaluateConfig(max_users=0)
    return matrix, make_task(Histories.of(matrix), item_codes, users, indptr, held, config=everybody)


def _read(path: Path) -> dict[int, np.ndarray]:
    lines = (np.array(line.split(), dtype=np.int32) for line in path.read_text().splitlines())
    return {int(line[0]): line[1:] for line in lines if len(line) > 1}


def write_reviews(directory: Path, path: Path, held_out: float | None) -> int:
    """Write all interactions as review lines, packed; return how many there are.

    Parameters
    ----------
    held_out : the share that is held out, drawn at random; None holds out the test part
    """
    draw, n = random.Random(0), 0  # noqa: S311
    with gzip.open(path, "wt") as file:
        for name in ("train_users.dat", "test_users.dat"):
            for user, items in _read(directory / name).items():
                for item in items:
                    held = name.startswith("test") if held_out is None else draw.random() < held_out
                    about = {"reviewerID": f"U{user}", "asin": f"I{item}", "overall": 5.0}
                    file.write(json.dumps({**about, "unixReviewTime": EARLIER_S + held * WEEK_S}) + "\n")
                    n += 1
    return n


def popularity(matrix: sparse.csr_matrix) -> ScoringModel:
    """All-time popularity: the split has no times."""
    times = np.zeros(matrix.nnz, dtype=np.int64)
    train = ItemInteractions(items=matrix.indices, times=times, n_items=matrix.shape[1], split_s=1)
    return fit_popularity(train, PopularityConfig())["popularity_all_time"]


def als(matrix: sparse.csr_matrix) -> ScoringModel:
    """The published configuration, solved exactly."""
    return Als.of(fit_als(matrix, CONFIG, exact=True)[0], CONFIG.regularization)


def measure(model: ScoringModel, task: Task) -> dict[str, float]:
    """Means by "metric@K" at K = 20, 40, 100."""
    means: dict[str, float] = {}
    for k in (20, 40, 100):
        means |= judge({"model": model}, task, EvaluateConfig(top_k=k, max_users=0))["model"].means
    return means


def main() -> None:
    """Print published, ours and the difference, side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=Path, default=default_directory(), help="default: %(default)s")
    parser.add_argument("--as-reviews", type=Path, metavar="FILE", help="write the interactions as reviews, .jsonl.gz")
    parser.add_argument(
        "--held-out", type=float, metavar="0..1", help="share that is held out at random; test if not given"
    )
    given = parser.parse_args()
    directory = given.directory
    if not (directory / "train_users.dat").exists():
        parser.error(f"{directory} holds no train_users.dat; name the directory, or set RECOMMENDER_SHARED_DATA")
    if given.as_reviews:
        print(f"{given.as_reviews}: {write_reviews(directory, given.as_reviews, given.held_out):,} reviews")
        return
    matrix, task = read_split(directory)
    print(f"{matrix.shape[0]:,} users, {matrix.shape[1]:,} items, train {matrix.nnz:,}, test {task.n_held.sum():,}")
    print(f"{'model':<12}{'metric':<12}{'published':>10}{'ours':>10}{'difference':>12}")
    for name, fit, published in (("popularity", popularity, POPULARITY), ("iALS", als, ALS)):
        ours = measure(fit(matrix), task)
        for metric, value in published.items():
            print(f"{name:<12}{metric:<12}{value:>10.4f}{ours[metric]:>10.4f}{ours[metric] - value:>+12.4f}")


if __name__ == "__main__":
    main()
