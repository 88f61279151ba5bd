"""Compare rules that choose a point of the grid in which the item prior is learned.

    python -m benchmarks.prior_rules reviews_Electronics.json.gz [--splits 6]

At each of some points in time all powers and half-lives are judged twice: on a time split inside train, from which a
rule chooses, and on the holdout, where the choice is judged. A rule takes the point nearest to the configured one, on
the way to the best, that is at most a number of standard errors below the best: 0 is the best itself, 1 the
one-standard-error rule, 1.645 the rule in use. maxT is a test instead; by chance one training in twenty moves.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import encode
from include.recommender.data.inner import inner_fold
from include.recommender.evaluation.learn_prior import (
    CLEARLY_WORSE,
    MAX_INTERACTIONS,
    MIN_USERS,
    Point,
    grid,
    grid_recalls,
    nearest,
)
from include.recommender.evaluation.metrics import Floats

from .quality import instants, read

LEVEL, FLIPS = 0.05, 1000
ERRORS = (0.0, 1.0, CLEARLY_WORSE)

Recalls = Mapping[Point, Floats]


def critical(recalls: Recalls, own: Point, seed: int) -> float:
    """How many standard errors below the best are clear, when the best was the best of all these points.

    The 95 % quantile of the largest paired t value over all points, when none differs from the configured one: whose
    recall is whose is then a coin toss for each user, the same for all points, since they are judged on the same users
    (maxT of Westfall & Young 1993, by sign flips).

    Parameters
    ----------
    recalls : of the same users at each point, float64, shape (n_users,)
    own : the configured point
    """
    differences = np.stack([recall - recalls[own] for point, recall in recalls.items() if point != own], axis=1)
    n = len(differences)
    signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(FLIPS, n))
    means = signs @ differences / n
    # Flipped or not, the squares are the same.
    errors = np.sqrt(np.maximum((differences**2).mean(axis=0) - means**2, 0.0) / (n - 1))
    largest = np.divide(means, errors, out=np.zeros_like(means), where=errors > 0).max(axis=1)
    return float(np.quantile(largest, 1 - LEVEL, method="higher"))


@dataclass(frozen=True)
class Split:
    """The grid at one point in time, judged inside train (unless too few users are there) and on the holdout."""

    inner: Recalls | None
    holdout: Recalls

    def chosen(self, config: RetrainConfig, errors: float | None) -> Point:
        """The point that a rule chooses; without a number of standard errors, that of the test."""
        own = (config.prior.half_life_days, config.prior.power)
        if self.inner is None:
            return own
        limit = critical(self.inner, own, config.evaluate.seed) if errors is None else errors
        return nearest(self.inner, grid(config.prior), own, limit)[0]


def splits_of(files: list[Path], n_splits: int, config: RetrainConfig) -> list[Split]:
    """Judge the whole grid at some points in time."""
    reviews, points = read(files, config), list(grid(config.prior))
    found = []
    for as_of_s in instants(reviews, n_splits):
        fold = encode(reviews, as_of_s, config.encode)
        inner = inner_fold(fold, config.encode, MAX_INTERACTIONS, config.train.seed)
        enough = inner is not None and len(inner.holdout_rows) >= MIN_USERS
        inside = grid_recalls(inner, points, config) if inner is not None and enough else None
        found.append(Split(inside, grid_recalls(fold, points, config)))
    return found


def report(splits: list[Split], config: RetrainConfig) -> str:
    """A row a rule: Recall@K over all users of all splits, against the configured prior, and how often it moved."""
    own = (config.prior.half_life_days, config.prior.power)
    base = np.concatenate([split.holdout[own] for split in splits])
    lines = [
        f"{'rule':<12}{f'recall@{config.evaluate.top_k}':>10}{'gain':>9}{'errors':>8}{'moved':>7}   to (days, power)"
    ]
    lines.append(f"{'configured':<12}{base.mean():>10.4f}")
    for errors in (*ERRORS, None):
        chosen = [split.chosen(config, errors) for split in splits]
        recall = np.concatenate([split.holdout[point] for split, point in zip(splits, chosen, strict=True)])
        gain = recall - base
        error = gain.std(ddof=1) / len(gain) ** 0.5
        moved = [point for point in chosen if point != own]
        lines.append(
            f"{'maxT' if errors is None else f'{errors:g} errors':<12}{recall.mean():>10.4f}"
            f"{gain.mean() / base.mean():>+9.1%}{gain.mean() / error if error else 0:>+8.1f}{len(moved):>7}   "
            + ", ".join(f"({days:g}, {power:g})" for days, power in moved)
        )
    lines.append(f"{len(splits)} splits, {len(base):,} users. errors: the gain in its standard errors.")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", nargs="+", type=Path, help="review files: JSON lines, .gz of them or not")
    parser.add_argument("--splits", type=int, default=6, help="points in time (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    config = RetrainConfig.from_params({})
    print(report(splits_of(given.reviews, given.splits, config), config))


if __name__ == "__main__":
    main()
