"""The pipeline against the ideal ranker, in generated worlds with a known truth.

The ideal ranks the items of train by the true chances of choice (`samples/world.py`) in the middle of the holdout: it
knows every taste and the future popularity. No ranker can be better in expectation, and none that knows only the past
can be as good.

    python -m benchmarks.ideal [--worlds N]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import encode
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import ITEMS, USERS, Reviews, load_vocabulary
from include.recommender.evaluation.evaluate import fold_task, judge
from include.recommender.evaluation.gate import CANDIDATE
from include.recommender.models.histories import Histories
from include.recommender.models.protocol import Scores
from include.recommender.models.rivals import PLAIN_ALS
from samples.generated import FILE_NAME, snapshots
from samples.world import SEED, World, make_world

from .quality import WITHOUT_PRIOR, judged_models


@dataclass(frozen=True)
class Ideal:
    """The truth as a model. items : columns of the world for those of the fold."""

    world: World
    items: np.ndarray[Any, np.dtype[np.int64]]
    at_s: float

    def score(self, histories: Histories) -> Scores:
        """Log of the chances of choice, float32, shape (len(histories), n_items).

        It does not look at what a user did, but at who it is: a history here is the user's row in the world.
        """
        scores = self.world.scores(self.at_s, histories.items.astype(np.int64))[:, self.items]
        return np.maximum(scores, np.finfo(np.float32).min).astype(np.float32)


def judged(seed: int, config: RetrainConfig) -> dict[str, float]:
    """Recall@K of all models and the ideal, in the world of a seed."""
    *_, (day, packed) = snapshots(seed)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        (directory / FILE_NAME).write_bytes(packed)
        parse_files([(FILE_NAME, directory / FILE_NAME)], directory, config.parse)
        reviews = Reviews.load(directory)
        fold = encode(reviews, int(np.datetime64(day, "s").astype(np.int64)), config.encode)
        users, items = load_vocabulary(directory / USERS), load_vocabulary(directory / ITEMS)
        task = fold_task(fold, config.evaluate)
        outcome, _ = judged_models(fold, task, config)
        world = make_world(seed)
        columns, rows = (
            _places(names, known.names(codes))
            for names, known, codes in (
                (world.item_ids, items, fold.item_codes),
                (world.user_ids, users, fold.user_codes[task.rows]),
            )
        )
    ideal = Ideal(world, columns, (fold.stats["split_s"] + fold.stats["last_s"]) / 2)
    themselves = Histories(
        np.arange(len(rows) + 1), rows.astype(np.int32), np.ones(len(rows), dtype=np.float32), len(world.user_ids)
    )
    outcome |= judge({"ideal": ideal}, task, config.evaluate, themselves)
    return {name: row.means[f"recall@{config.evaluate.top_k}"] for name, row in outcome.items()}


def _places(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    place = {name: at for at, name in enumerate(names)}
    return np.array([place[name] for name in wanted], dtype=np.int64)


def main() -> None:
    """Print a row a world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=3, help="generated worlds, each of another seed (%(default)s)")
    given = parser.parse_args()
    config = RetrainConfig()
    names = (CANDIDATE, WITHOUT_PRIOR, PLAIN_ALS, "popularity", "ideal")
    print(
        f"Recall@{config.evaluate.top_k}\n{'world':<8}"
        + "".join(f"{name:>15}" for name in names)
        + "   candidate / ideal"
    )
    for seed in range(SEED, SEED + given.worlds):
        recalls = judged(seed, config)
        recalls["popularity"] = max(value for name, value in recalls.items() if name.startswith("popularity"))
        print(
            f"{seed:<8}"
            + "".join(f"{recalls[name]:>15.4f}" for name in names)
            + f"{recalls[CANDIDATE] / recalls['ideal']:>20.2f}"
        )


if __name__ == "__main__":
    main()
