"""Error rate and power of the gate on simulated holdouts with a known truth.

    python -m benchmarks.gate [REVIEWS ...] [--worlds N] [--seed N]

Every figure is a share of worlds, each judged by the gate's own `decide` at its defaults, but for the number of
resamples. With review files, holdouts are also resampled from their judged users.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from include.recommender.config import GateConfig, RetrainConfig
from include.recommender.evaluation.gate import CANDIDATE, decide, paired_bootstrap

from .recall_worlds import (
    ALIKE,
    ONE_STRONG,
    POPULARITIES,
    RecallWorld,
    Resampled,
    against_champion,
    against_popularity,
    describe,
)

USERS = (50, 100, 300, 1_000, 3_000, 10_000)
LIFTS = (0.05, 0.1, 0.2, 0.4)
LOSSES = (0.0, -0.05, -0.1, -0.2)
RESAMPLES = 500
LIMIT = 0.05


@dataclass(frozen=True)
class Rates:
    """Verdicts in a number of worlds."""

    n_worlds: int
    decisions: Counter[str]

    def share(self, decision: str) -> float:
        """Share of the worlds with this verdict."""
        return self.decisions[decision] / self.n_worlds

    def promoted(self) -> tuple[float, float]:
        """The exact 95 % interval of the share that is promoted (Clopper and Pearson 1934)."""
        found = binomtest(self.decisions["PROMOTE"], self.n_worlds).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)


def simulate(
    world: RecallWorld, n_users: int, n_worlds: int, seed: Sequence[int], config: GateConfig | None = None
) -> Rates:
    """Draw holdouts and let the gate decide on each; every one has a bootstrap seed of its own."""
    config = config or GateConfig(resamples=RESAMPLES)
    rng = np.random.default_rng([*seed, n_users])
    decisions: Counter[str] = Counter()
    for _ in range(n_worlds):
        recalls = world.draw(rng, n_users)
        decisions[decide(recalls, 10, replace(config, seed=int(rng.integers(2**31)))).decision] += 1
    return Rates(n_worlds, decisions)


def plain_promotions(world: RecallWorld, n_users: int, n_worlds: int, seed: Sequence[int]) -> float:
    """Share of the worlds of `simulate` that a plain percentile interval would promote, all else the same."""
    config, promoted = GateConfig(resamples=RESAMPLES), 0
    rng = np.random.default_rng([*seed, n_users])
    for _ in range(n_worlds):
        recalls = world.draw(rng, n_users)
        baseline = max((values for name, values in recalls.items() if name != CANDIDATE), key=np.mean)
        candidate, bootstrap_seed = recalls[CANDIDATE], int(rng.integers(2**31))
        low = paired_bootstrap(candidate - baseline, replace(config, seed=bootstrap_seed)).low
        enough = n_users >= config.min_users and candidate.mean() >= (1 + config.min_relative_lift) * baseline.mean()
        promoted += low > 0 and enough
    return promoted / n_worlds


def wrong_promotions(worlds: dict[str, RecallWorld], n_worlds: int, seed: int, pool: ProcessPoolExecutor) -> bool:
    """Print how often a candidate that is no better is promoted; return whether all rates are within LIMIT."""
    print(f"\nPromoted although no better than the strongest popularity ({n_worlds:,} worlds each, 95 % interval)")
    _print_row("users", [f"{n:,}" for n in USERS])
    within = True
    for number, (name, world) in enumerate(worlds.items()):
        cells = list(zip(*[(world, n, n_worlds, (seed, 0, number)) for n in USERS], strict=True))
        rows, plain = list(pool.map(simulate, *cells)), pool.map(plain_promotions, *cells)
        _print_row(name, [f"{row.share('PROMOTE'):.2%} ({_percent(row.promoted())})" for row in rows])
        _print_row("  by a plain percentile interval", [f"{share:.2%}" for share in plain])
        within &= all(row.promoted()[0] <= LIMIT for row in rows)
    return within


def _percent(interval: tuple[float, float]) -> str:
    return ", ".join(f"{100 * end:.1f}" for end in interval)


def _print_row(name: str, cells: Sequence[str]) -> None:
    print(f"{name:<34}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def power(
    title: str, worlds: dict[str, RecallWorld], n_worlds: int, seed: Sequence[int], pool: ProcessPoolExecutor
) -> None:
    """Print promoted / held / rejected by the candidate's true difference."""
    print(f"\n{title}: PROMOTE / HOLD / REJECT in % ({n_worlds:,} worlds each)")
    _print_row("users", [f"{n:,}" for n in USERS])
    for number, (name, world) in enumerate(worlds.items()):
        rows = pool.map(simulate, *zip(*[(world, n, n_worlds, (*seed, number)) for n in USERS], strict=True))
        verdicts = ("PROMOTE", "HOLD", "REJECT")
        _print_row(name, [" / ".join(f"{100 * row.share(each):.1f}" for each in verdicts) for row in rows])


def resampling(worlds: int, seed: int) -> None:
    """Print in how many worlds the fewer resamples of the simulation change the verdict."""
    changed = 0
    few, many = GateConfig(resamples=RESAMPLES), GateConfig()
    rng = np.random.default_rng([seed, 9])
    for _ in range(worlds):
        recalls = against_popularity(0.2).draw(rng, 1_000)
        changed += decide(recalls, 10, few).decision != decide(recalls, 10, many).decision
    print(f"{RESAMPLES:,} resamples instead of {many.resamples:,} change {changed} of {worlds} verdicts")


def real_recalls(files: list[Path]) -> dict[str, np.ndarray]:
    """Recalls of the users that are judged on review files, at the default configuration."""
    from include.recommender.evaluation.evaluate import fold_task

    from .quality import fold_of, judged_models

    config = RetrainConfig()
    fold = fold_of(files, config)
    judged, _ = judged_models(fold, fold_task(fold, config.evaluate), config)
    return {name: row.recall for name, row in judged.items() if name in (CANDIDATE, *POPULARITIES)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", nargs="*", type=Path, help="review files to resample judged users from")
    parser.add_argument(
        "--worlds",
        type=int,
        default=1_000,
        help="for a rate of wrong promotions, others take a fourth (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    given = parser.parse_args()
    started = time.monotonic()
    nulls: dict[str, RecallWorld] = {
        "five popularities alike": against_popularity(0, ALIKE),
        "one clearly strongest": against_popularity(0, ONE_STRONG),
        "that, candidate's hits small": against_popularity(0, ONE_STRONG, only_heavy=(CANDIDATE,)),
    }
    better: dict[str, RecallWorld] = {f"better by {lift:.0%}": against_popularity(lift) for lift in LIFTS}
    print("Generated users, 300,000 of them:")
    print(describe(against_popularity(0.4).draw(np.random.default_rng(given.seed), 300_000)))
    if given.reviews:
        recalls = real_recalls(given.reviews)
        print(f"Judged users of the review files, {len(recalls[CANDIDATE]):,}:\n{describe(recalls)}")
        nulls["resampled, swapped by chance"] = Resampled(recalls, 0.0)
        better |= {f"resampled, better by {lift:.0%}": Resampled(recalls, lift) for lift in LIFTS}
    champions: dict[str, RecallWorld] = {
        f"worse by {-loss:.0%}" if loss else "equal": against_champion(loss) for loss in LOSSES
    }
    resampling(200, given.seed)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None) as pool:
        within = wrong_promotions(nulls, given.worlds, given.seed, pool)
        power("Against popularity", better, given.worlds // 4, (given.seed, 1), pool)
        power("Against a champion far above popularity", champions, given.worlds // 4, (given.seed, 2), pool)
    print(f"\n{time.monotonic() - started:.0f} s")
    raise SystemExit(not within)


if __name__ == "__main__":
    main()
