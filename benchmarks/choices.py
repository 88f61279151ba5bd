"""Compare rules by which a model is chosen: its family, its factors and its item prior.

    python -m benchmarks.choices reviews_Electronics.json.gz [--splits 6] [--sweeps 8] [--users 16000]

At each of some points in time the models of the grid are judged twice: on a time split inside train, from which a rule
chooses, and on the holdout, where the choice is judged. A rule takes the point nearest to the configured one, on the
way to the best, that is at most a number of standard errors below the best: 0 is the best itself, 1 the
one-standard-error rule. "in use" is the rule of `choose_model`, 1.645 errors, which drops points early; the others
have all points on all users. A row that names a family chooses within it, by 1.645 errors, and one without EASE among
the others. The last row is the best of all points on the holdout itself, which nobody can know. The last line is the
cost of the choice in use, beside a fit of the configured factors on all of train.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.inner import inner_fold
from include.recommender.evaluation import race
from include.recommender.evaluation.choose import CLEARLY_WORSE, MAX_INTERACTIONS, MIN_USERS, nearest
from include.recommender.evaluation.grid import Point, configured
from include.recommender.evaluation.metrics import Floats
from include.recommender.evaluation.race import Found, tried
from include.recommender.models.als.training import fit_als
from include.recommender.parameters.of_models import ALS, BLEND, EASE, KNN

from .quality import instants, read

CONFIGURED, IN_USE, ORACLE = "configured", "in use", "best on the holdout"
ERRORS = (0.0, 1.0, CLEARLY_WORSE)

Tried = Mapping[Point, Found]
Among = Callable[[Point], bool]


@dataclass(frozen=True, kw_only=True)
class Split:
    """What was tried at one point in time: inside train (unless too few users are there) and on the holdout.

    inner : all points on all users; raced : with points that are dropped early
    choice_s, fit_s : wall seconds of the choice, and of a fit with the configured factors
    """

    inner: Tried | None
    raced: Tried | None
    holdout: Tried
    choice_s: float
    fit_s: float

    def chosen(self, config: RetrainConfig, errors: float, among: Among = lambda _: True) -> Point:
        """The point that a rule chooses, of all points or of some."""
        own = configured(config)
        if self.inner is None:
            return own
        recalls = {point: found.recall for point, found in self.inner.items() if among(point)}
        # Where the configured point is none of them, the best of them is chosen.
        return nearest(recalls, own, errors)[0] if own in recalls else max(recalls, key=lambda at: recalls[at].mean())

    def in_use(self, config: RetrainConfig) -> Point:
        """The point that a training chooses."""
        if self.raced is None:
            return configured(config)
        recalls = {point: found.recall for point, found in self.raced.items()}
        return nearest(recalls, configured(config), CLEARLY_WORSE)[0]

    def reached(self, point: Point) -> Floats:
        """Recall of the users of the holdout."""
        return self.holdout[point].recall


Rule = Callable[[Split], Point]


def rules(config: RetrainConfig) -> dict[str, Rule]:
    """The rules by their names."""

    def by(errors: float, among: Among = lambda _: True) -> Rule:
        return lambda split: split.chosen(config, errors, among)

    def of_family(family: str) -> Among:
        return lambda point: point.choice().family == family

    found: dict[str, Rule] = {CONFIGURED: lambda split: configured(config), IN_USE: lambda split: split.in_use(config)}
    found |= {f"{errors:g} errors": by(errors) for errors in ERRORS}
    found |= {
        f"{family} alone" if family != BLEND else "blend": by(CLEARLY_WORSE, of_family(family))
        for family in (ALS, KNN, BLEND)
    }
    found["without EASE"] = by(CLEARLY_WORSE, lambda point: point.similarity != EASE)
    return found | {ORACLE: lambda split: max(split.holdout, key=lambda point: split.reached(point).mean())}


def splits_of(files: list[Path], n_splits: int, config: RetrainConfig) -> list[Split]:
    """Judge the grid at some points in time."""
    reviews = read(files, config)
    return [split_of(encode(reviews, as_of_s, config.encode), config) for as_of_s in instants(reviews, n_splits)]


def split_of(fold: EncodedFold, config: RetrainConfig) -> Split:
    """Judge the grid inside train, and on the holdout all weights and priors with each fit that was tried inside."""
    began = time.perf_counter()
    inner = inner_fold(fold, config.encode, MAX_INTERACTIONS, config.train.seed)
    enough = inner is not None and len(inner.holdout_rows) >= MIN_USERS
    raced = tried(inner, config) if inner is not None and enough else None
    choice_s, began = time.perf_counter() - began, time.perf_counter()
    fit_als(fold.matrix, config.train)
    fit_s = time.perf_counter() - began
    inside = tried(inner, config, whole=True) if inner is not None and enough else None
    holdout: dict[Point, Found] = {}
    for n_factors, days in sorted({point[:2] for point in [*(inside or {}), *(raced or {}), configured(config)]}):
        only = replace(
            config,
            encode=replace(config.encode, half_life_days=days),
            train=replace(config.train, factors=n_factors),
            model=replace(config.model, fit_factors=False, fit_ageing=False),
        )
        holdout |= tried(fold, only, whole=True)
    return Split(inner=inside, raced=raced, holdout=holdout, choice_s=choice_s, fit_s=fit_s)


def report(splits: list[Split], config: RetrainConfig) -> str:
    """A row a rule: Recall@K and coverage over all splits, against the configured point, and what it chose."""
    base = np.concatenate([split.reached(configured(config)) for split in splits])
    head = (
        f"{'rule':<20}{f'recall@{config.evaluate.top_k}':>10}{'gain':>8}{'errors':>8}{'coverage':>10}{'moved':>7}   to"
    )
    lines = [head]
    for name, rule in rules(config).items():
        chosen = [rule(split) for split in splits]
        recall = np.concatenate([split.reached(point) for split, point in zip(splits, chosen, strict=True)])
        coverage = np.mean([split.holdout[point].coverage for split, point in zip(splits, chosen, strict=True)])
        gain = recall - base
        error = gain.std(ddof=1) / len(gain) ** 0.5
        moved = [point for point in chosen if point != configured(config)]
        lines.append(
            f"{name:<20}{recall.mean():>10.4f}{gain.mean() / max(base.mean(), 1e-12):>+8.1%}"
            f"{gain.mean() / error if error else 0:>+8.1f}{coverage:>10.3f}{len(moved):>7}   "
            + "; ".join(point.choice().text for point in moved[-1:])
        )
    choice_s, fit_s = sum(split.choice_s for split in splits), sum(split.fit_s for split in splits)
    lines.append(
        f"{len(splits)} splits, {len(base):,} users. errors: the gain in its standard errors. to: the last one."
    )
    lines.append(
        f"A choice takes {choice_s / len(splits):.1f} s, a fit {fit_s / len(splits):.1f} s: {choice_s / fit_s:.1f} fits"
    )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", nargs="+", type=Path, help="review files: JSON lines, .gz of them or not")
    parser.add_argument("--splits", type=int, default=6, help="points in time (%(default)s)")
    parser.add_argument("--sweeps", type=int, default=race.MAX_SWEEPS, help="of ALS inside train (%(default)s)")
    parser.add_argument("--users", type=int, default=race.MAX_USERS, help="that are judged, at most (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    race.MAX_SWEEPS, race.MAX_USERS = given.sweeps, given.users
    config = RetrainConfig.from_params({})
    print(report(splits_of(given.reviews, given.splits, config), config))


if __name__ == "__main__":
    main()
