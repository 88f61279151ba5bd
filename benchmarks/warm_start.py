"""Warm start against cold: Recall@K and loss by iterations, from a champion that ends some weeks before the split time.

The candidate trains on the train part of all reviews. The champion was trained, cold, on everything up to `--weeks`
before that part ends, as the judged factors of an earlier run were; users and items are joined by their ids.

    python -m benchmarks.warm_start REVIEWS ... [--weeks 1 4 13 52] [--seeds N]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from include.recommender.config import RetrainConfig, TrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import ITEMS, Reviews, load_vocabulary
from include.recommender.evaluation.evaluate import Task, fold_task, judge
from include.recommender.evaluation.gate import CANDIDATE
from include.recommender.ids import Vocabulary
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.whitening import Factors
from include.recommender.stages.warm import ItemFactors, joined_factors

from .pairs import compare

WEEK_S = 7 * 86_400
FITTED = (1, 2, 3, 4, 5, 7, 10, 15)
PAIRS = 5


@dataclass(frozen=True)
class ParsedReviews:
    """Reviews and the ids of their items."""

    reviews: Reviews
    items: Vocabulary

    @classmethod
    def read(cls, files: Sequence[Path], config: RetrainConfig) -> ParsedReviews:
        """All reviews in some files."""
        with tempfile.TemporaryDirectory() as scratch:
            parse_files([(path.name, path) for path in files], Path(scratch), config.parse)
            return cls(Reviews.load(Path(scratch)), load_vocabulary(Path(scratch) / ITEMS))

    def items_of(self, fold: EncodedFold) -> Vocabulary:
        """Items of a fold's columns."""
        return self.items.take(fold.item_codes)


@dataclass(frozen=True)
class RecallCurve:
    """After FITTED iterations: Recall@K and loss, float64, shape (len(FITTED),)."""

    recall: np.ndarray
    loss: np.ndarray

    @classmethod
    def mean(cls, courses: Sequence[RecallCurve]) -> RecallCurve:
        """Of several seeds."""
        return cls(*(np.mean([getattr(each, name) for each in courses], axis=0) for name in cls.__annotations__))

    def first(self, recall: float) -> int | None:
        """Where a recall is reached first, as a place in FITTED."""
        reached = np.flatnonzero(self.recall >= recall)
        return int(reached[0]) if len(reached) else None


def recall_curve(fold: EncodedFold, task: Task, start: Factors | None, config: RetrainConfig) -> RecallCurve:
    """Fit once for each number of iterations: what a run with that number would get."""
    recalls = []
    for n in FITTED:
        factors, curve = fit_als(fold.matrix, replace(config.train, iterations=n, warm_iterations=n), start=start)
        model = Als.of(factors, config.train.regularization)
        judged = judge({CANDIDATE: model}, task, config.evaluate)[CANDIDATE]
        recalls.append(judged.means[f"recall@{config.evaluate.top_k}"])
    return RecallCurve(np.array(recalls), np.array(curve.loss)[np.array(FITTED) - 1])


def champion(parsed: ParsedReviews, end_s: int, config: RetrainConfig) -> ItemFactors:
    """A cold fit on everything before an instant."""
    fold = encode(parsed.reviews, end_s, replace(config.encode, holdout_fraction=0.0))
    return ItemFactors(fit_als(fold.matrix, config.train)[0], parsed.items_of(fold))


def seeded(config: RetrainConfig, seed: int) -> RetrainConfig:
    """The configuration with another seed of the initial factors."""
    train: TrainConfig = replace(config.train, seed=seed)
    return replace(config, train=train)


def report(name: str, found: RecallCurve) -> None:
    """Print a row of recalls and one of losses."""
    print(f"{name:<28}recall " + "".join(f"{recall:>10.4f}" for recall in found.recall))
    print(f"{'':<28}loss   " + "".join(f"{loss:>10.6f}" for loss in found.loss), flush=True)


def report_reached(
    fold: EncodedFold, start: Factors, found: RecallCurve, *, cold: RecallCurve, config: RetrainConfig
) -> None:
    """Print what it took to reach the cold fit's last recall; times are medians of PAIRS fits of each, in turn."""
    reached, wanted = found.first(cold.recall[-1]), FITTED[-1]
    if reached is None:
        print(f"does not reach the recall of {wanted} cold iterations: {found.recall.max():.4f} at most", flush=True)
        return
    n = FITTED[reached]
    train = replace(config.train, iterations=wanted, warm_iterations=n)
    *_, ratio = compare(lambda: fit_als(fold.matrix, train, start=start), lambda: fit_als(fold.matrix, train), PAIRS)
    print(
        f"reaches the recall of {wanted} cold iterations after {n}: {n / wanted:.2f} of the iterations, "
        f"{ratio:.2f} of the fit's time",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", nargs="+", type=Path, help="review files: JSON lines, .gz of them or not")
    parser.add_argument("--weeks", nargs="+", type=int, default=[1, 4, 13, 52], help="default: 1 4 13 52")
    parser.add_argument("--seeds", type=int, default=3, help="fits that are averaged (default: %(default)s)")
    given = parser.parse_args()
    base = RetrainConfig()
    parsed = ParsedReviews.read(given.reviews, base)
    fold = encode(parsed.reviews, int(parsed.reviews.time.max()) + 1, base.encode)
    items = parsed.items_of(fold)
    task = fold_task(fold, base.evaluate)
    configs = [seeded(base, base.train.seed + n) for n in range(given.seeds)]
    print(f"{fold.stats['train']:,} train interactions, {len(fold.user_codes):,} users, {len(items):,} items", end="; ")
    print(f"{len(task.rows):,} users judged; Recall@{base.evaluate.top_k}, means of {given.seeds} seeds\n")
    print(f"{'iterations':<35}" + "".join(f"{n:>10}" for n in FITTED))
    cold = RecallCurve.mean([recall_curve(fold, task, None, config) for config in configs])
    report("cold", cold)
    for weeks in given.weeks:
        warm = []
        for config in configs:
            part = champion(parsed, fold.stats["split_s"] - weeks * WEEK_S, config)
            start = joined_factors(part, items, config.train)
            warm.append(recall_curve(fold, task, start.factors, config))
        share = f"{start.n_known / len(items):.1%} of items known"
        print(f"\nchampion ends {weeks} weeks before the split time: {share}")
        report("warm", RecallCurve.mean(warm))
        report_reached(fold, start.factors, RecallCurve.mean(warm), cold=cold, config=configs[-1])


if __name__ == "__main__":
    main()
