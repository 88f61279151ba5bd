"""How often the gate promotes a whole pipeline that is no better than popularity: the choice of the model included.

    python -m benchmarks.gate_worlds [--worlds N] [--users N] [--seed N]

Each world has users with a known chance for every item: popularity, times taste of some strength. A training runs on
what they chose: the model is chosen on a split inside train, fitted, judged beside all popularity lists and rivals, and
the gate decides at its defaults. The truth of a list is the chance that the user's next choice is in it. The truth of a
model is its mean over the judged users, without any holdout. A promotion is wrong where the candidate's truth is no
better than that of the best popularity list.

Strength 0 is a world without taste: whoever finds taste there has chosen noise. With a little taste the candidate is
about as good as popularity, where a gate errs most easily.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.reviews import Reviews
from include.recommender.evaluation.evaluate import Task, fold_task, judge
from include.recommender.evaluation.fitting import fit
from include.recommender.evaluation.gate import CANDIDATE, POPULARITY, decide
from include.recommender.evaluation.rivals import fit_plain_als, judge_rivals
from include.recommender.models.cores import n_cores
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.popularity import fit_popularity
from include.recommender.models.protocol import ScoringModel
from include.recommender.models.ranking import recommend_all

STRENGTHS = (0.0, 1.2, 2.0, 2.2, 2.3, 2.5)
N_ITEMS, N_GROUPS, EXPONENT = 400, 20, 0.8
CHOICES = 6.0  # of a user, on average
DAYS, DAY_S = 300, 86_400
RESAMPLES = 10_000
LIMIT = 0.05
# Of the lift over the best popularity list; the second is a part of the first, where a gate errs most easily.
TRUTHS = ((-np.inf, 0.0), (-0.01, 0.0), (0.0, 0.05), (0.05, 0.2), (0.2, np.inf))


@dataclass(frozen=True)
class World:
    """Chances of each user for each item, float64, shape (n_users, n_items), and what the users chose."""

    chances: np.ndarray
    reviews: Reviews

    @classmethod
    def of(cls, strength: float, n_users: int, rng: np.random.Generator) -> World:
        """Users choose without repeating themselves, at any time: nothing drifts."""
        popular = rng.permutation(np.arange(1, N_ITEMS + 1) ** -EXPONENT)
        group_of, mine = rng.integers(0, N_GROUPS, N_ITEMS), rng.integers(0, N_GROUPS, n_users)
        weights = popular * np.exp(strength * (group_of == mine[:, None]))
        chances = weights / weights.sum(axis=1, keepdims=True)
        sizes = np.minimum(rng.geometric(1 / CHOICES, n_users), N_ITEMS // 4)
        # The largest of log chance + Gumbel are draws without replacement.
        drawn = np.log(chances) + rng.gumbel(size=chances.shape)
        items = [np.argsort(-row)[:size] for row, size in zip(drawn, sizes, strict=True)]
        n = int(sizes.sum())
        return cls(
            chances,
            Reviews(
                user=np.repeat(np.arange(n_users, dtype=np.int32), sizes),
                item=np.concatenate(items).astype(np.int32),
                time=rng.integers(0, DAYS * DAY_S, n) + 10**9,
                rating=np.full(n, 5, dtype=np.float32),
                verified=np.ones(n, dtype=np.int8),
            ),
        )

    def truth(self, model: ScoringModel, fold: EncodedFold, task: Task, k: int) -> float:
        """The chance that a judged user's next choice is in the list, mean over users."""
        best = recommend_all(model, task.seen, task.seen, k)
        users, items = fold.user_codes[task.rows], fold.item_codes
        chances = self.chances[users][:, items]
        seen = np.zeros_like(chances, dtype=bool)
        seen[task.seen.rows, task.seen.items] = True
        left = 1.0 - np.where(seen, chances, 0.0).sum(axis=1)
        listed = np.take_along_axis(chances, np.maximum(best, 0), axis=1) * (best >= 0)
        return float((listed.sum(axis=1) / left).mean())


@dataclass(frozen=True)
class Outcome:
    """The verdict on a world, the true lift of the candidate over the best popularity list, and what was chosen."""

    decision: str
    lift: float
    family: str
    n_users: int


def outcome(strength: float, n_users: int, seed: int) -> Outcome:
    """Train, judge and decide in one world."""
    world = World.of(strength, n_users, np.random.default_rng([seed, int(strength * 100)]))
    config = RetrainConfig.from_params({"resamples": RESAMPLES, "bootstrap_seed": seed})
    fold = encode(world.reviews, 10**9 + DAYS * DAY_S, config.encode)
    fitted, k = fit(fold, config), config.evaluate.top_k
    task = fold_task(fitted.fold, config.evaluate)
    models: dict[str, ScoringModel] = {CANDIDATE: fitted.model}
    models |= fit_popularity(fold.item_interactions, config.popularity)
    judged = judge(models, task, config.evaluate)
    similar = fit_similarities(fold.matrix, config.knn)
    judged |= judge_rivals(fit_plain_als(fold, config)[0], similar, fold, task, config)
    verdict = decide({name: row.recall for name, row in judged.items()}, k, config.gate)
    truths = {name: world.truth(model, fold, task, k) for name, model in models.items()}
    best = max(value for name, value in truths.items() if name.startswith(POPULARITY))
    return Outcome(verdict.decision, truths[CANDIDATE] / best - 1, fitted.chosen.choice.family, len(task.rows))


def report(outcomes: Mapping[float, list[Outcome]]) -> tuple[str, bool]:
    """A row a strength of taste and a row a range of the true lift; whether wrong ones are surely within LIMIT."""
    lines = [
        f"{'taste':<8}{'worlds':>8}{'judged':>8}{'true lift':>11}{'PROMOTE':>9}{'HOLD':>7}{'REJECT':>8}   families"
    ]
    for strength, rows in outcomes.items():
        shares = [np.mean([row.decision == each for row in rows]) for each in ("PROMOTE", "HOLD", "REJECT")]
        families = {name: sum(row.family == name for row in rows) for name in ("als", "blend", "knn")}
        lines.append(
            f"{strength:<8g}{len(rows):>8}{np.mean([row.n_users for row in rows]):>8.0f}"
            f"{np.mean([row.lift for row in rows]):>+11.1%}{shares[0]:>9.1%}{shares[1]:>7.1%}{shares[2]:>8.1%}   "
            + ", ".join(f"{name} {n}" for name, n in families.items() if n)
        )
    lines.append("")
    every, within = [row for rows in outcomes.values() for row in rows], True
    for low, high in TRUTHS:
        rows = [row for row in every if low < row.lift <= high]
        promoted = sum(row.decision == "PROMOTE" for row in rows)
        if not rows:
            continue
        interval = binomtest(promoted, len(rows)).proportion_ci(0.95, method="exact")
        name = "true lift at most 0" if low == -np.inf else f"true lift {low:.0%} to {high:.0%}"
        lines.append(
            f"{name:<24}{len(rows):>6} worlds, promoted {promoted / len(rows):.1%} "
            f"({interval.low:.1%}, {interval.high:.1%})"
        )
        within &= bool(low > -np.inf or interval.high <= LIMIT)
    return "\n".join(lines), within


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100, help="of each strength of taste (%(default)s)")
    parser.add_argument("--users", type=int, default=3_000, help="of a world (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    given = parser.parse_args()
    started = time.monotonic()
    seeds = range(given.seed * 100_000, given.seed * 100_000 + given.worlds)
    with ProcessPoolExecutor(n_cores(), initializer=logging.disable, initargs=(logging.WARNING,)) as pool:
        futures = {
            strength: [pool.submit(outcome, strength, given.users, seed) for seed in seeds] for strength in STRENGTHS
        }
        found = {strength: [each.result() for each in rows] for strength, rows in futures.items()}
    text, within = report(found)
    print(f"{text}\n{time.monotonic() - started:.0f} s")
    raise SystemExit(not within)


if __name__ == "__main__":
    main()
