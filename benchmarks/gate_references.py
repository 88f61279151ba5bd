"""The gate with several references, and in worlds built to mislead it: simulations with a known truth.

    python -m benchmarks.gate_references references|misleading [--worlds N] [--seed N]

references: the best of several is chosen on the holdout itself; the simulation shows the effect on a candidate.
misleading: a candidate that is no better gains a little from many users and loses all from few. The gate decides with
its default seed, with the smallest number of resamples that is allowed, and with fewer.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from include.recommender.config import GateConfig
from include.recommender.evaluation.gate import CANDIDATE, CHAMPION, EARLIER, decide
from include.recommender.evaluation.metrics import Floats

from .gate import RESAMPLES
from .recall_worlds import AS_FOUND, BASE_RECALL, POPULARITIES, Generated, RecallWorld

USERS = (300, 1_000, 3_000, 10_000)
REFERENCES = (1, 2, 4)
LOSSES = (0.0, -0.05, -0.1, -0.2)
FEW_USERS = (100, 130, 160, 200, 300, 1_000)
FEW_RESAMPLES = 1_000
STRONG = 2.5  # times BASE_RECALL; so popularity does not decide


def against_versions(loss: float, n_references: int) -> Generated:
    """A candidate against a champion and versions live before it, all of these equally good."""
    popular = {name: BASE_RECALL / 2 * share for name, share in zip(POPULARITIES, AS_FOUND, strict=True)}
    names = [CHAMPION, *(f"{EARLIER}{number}" for number in range(1, n_references))]
    versions = dict.fromkeys(names, STRONG * BASE_RECALL)
    return Generated({CANDIDATE: STRONG * BASE_RECALL * (1 + loss), **versions, **popular})


@dataclass(frozen=True)
class ManySmall:
    """Users of three kinds: a small gain of the candidate, a hit of the baseline alone, neither. Equal in the mean.

    gain : Recall of a user for whom the candidate is better
    lost : share of users for whom the baseline is better, with Recall 1
    """

    gain: float
    lost: float

    def draw(self, rng: np.random.Generator, n_users: int) -> dict[str, Floats]:
        """See `RecallWorld`."""
        kind = rng.random(n_users)
        baseline = (kind < self.lost).astype(np.float64)
        won = (kind >= self.lost) & (kind < self.lost + self.lost / self.gain)
        return {CANDIDATE: np.where(won, self.gain, 0.0), POPULARITIES[0]: baseline}


# (gain, share of users lost); of each, nearly all users are won, or a third.
MISLEADING = {
    "1/50 of 99 % of users": ManySmall(1 / 50, 0.0194),
    "1/30 of 96 % of users": ManySmall(1 / 30, 0.0319),
    "1/30 of 29 % of users": ManySmall(1 / 30, 0.0097),
    "1/20 of 94 % of users": ManySmall(1 / 20, 0.0471),
    "1/10 of 30 % of users": ManySmall(1 / 10, 0.03),
    "1/3 of 15 % of users": ManySmall(1 / 3, 0.05),
}


def rates(
    world: RecallWorld, n_users: int, n_worlds: int, rng: np.random.Generator, config: GateConfig
) -> Counter[str]:
    """Verdicts in a number of worlds."""
    return Counter(decide(world.draw(rng, n_users), 10, config).decision for _ in range(n_worlds))


def table(heads: list[str], rows: Mapping[str, Callable[[], list[str]]]) -> None:
    """Print rows as they are computed."""
    print(f"{'':<34}" + "".join(f"{head:>20}" for head in heads))
    for name, cells in rows.items():
        print(f"{name:<34}" + "".join(f"{cell:>20}" for cell in cells()), flush=True)


def several_references(n_worlds: int, seed: int) -> None:
    """Print the verdicts by the number of references that are as good as each other."""
    print(f"Against the best of k versions, all alike: PROMOTE / HOLD / REJECT in % ({n_worlds:,} worlds each)")
    verdicts = ("PROMOTE", "HOLD", "REJECT")

    def cells(loss: float, k: int) -> list[str]:
        row = []
        for n in USERS:
            rng = np.random.default_rng([seed, n, k])
            config = GateConfig(resamples=RESAMPLES, seed=int(rng.integers(2**31)))
            found = rates(against_versions(loss, k), n, n_worlds, rng, config)
            row.append(" / ".join(f"{100 * found[each] / n_worlds:.1f}" for each in verdicts))
        return row

    rows = {
        f"{f'worse by {-loss:.0%}' if loss else 'equal'}, k = {k}": partial(cells, loss, k)
        for loss in LOSSES
        for k in REFERENCES
    }
    table([f"{n:,} users" for n in USERS], rows)


def misleading(n_worlds: int, seed: int) -> None:
    """Print how often a candidate that is no better is promoted in worlds built to mislead the gate."""
    defaults = GateConfig()
    print(f"Promoted although no better, built to mislead it, min_relative_lift 0, in % ({n_worlds:,} worlds each)")

    def cells(world: RecallWorld, resamples: int) -> list[str]:
        config = replace(defaults, resamples=resamples, min_relative_lift=0.0)
        found = [rates(world, n, n_worlds, np.random.default_rng([seed, n]), config)["PROMOTE"] for n in FEW_USERS]
        return [f"{100 * n / n_worlds:.1f}" for n in found]

    rows = {
        f"{name}, {resamples:,}": partial(cells, world, resamples)
        for name, world in MISLEADING.items()
        for resamples in (FEW_RESAMPLES, defaults.resamples)
    }
    table([f"{n:,} users" for n in FEW_USERS], rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["references", "misleading"])
    parser.add_argument("--worlds", type=int, default=1_000, help="of each rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    given = parser.parse_args()
    started = time.monotonic()
    {"references": several_references, "misleading": misleading}[given.table](given.worlds, given.seed)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
