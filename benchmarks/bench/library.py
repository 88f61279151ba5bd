"""The library's side, in a process of its own: `script` does what the reference script does, with the same result.

    python -m benchmarks.bench.library script|fit|rank FOLDER

FOLDER has the reviews; `script` leaves there what the other pieces work on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import USERS, Reviews
from include.recommender.evaluation.evaluate import Task, fold_task, judge
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.ranking import recommend_all

from .found import Meter, run_piece
from .work import Work

MODEL, MAX_K = "als", 50


def script(work: Work, meter: Meter) -> None:
    """Parse, encode, train, judge: plain ALS, as in the reference, without ageing."""
    config, parsed = config_of(work), work.folder / "parsed"
    parsed.mkdir()
    with meter.part("read"):
        parse_files([(work.reviews.name, work.reviews)], parsed, config.parse)
    with meter.part("encode"):
        reviews = Reviews.load(parsed)
        fold = encode(reviews, int(reviews.time.max()) + 1, config.encode)
        task = fold_task(fold, config.evaluate)
    with meter.part("train"):
        factors, _ = fit_als(fold.matrix, config.train)
    with meter.part("evaluate"):
        judged = judge({MODEL: Als.of(factors, config.train.regularization)}, task, config.evaluate)
    metric = f"recall@{config.evaluate.top_k}"
    meter.notes |= {"recall": judged[MODEL].means[metric], "users": len(task.rows), "reviews": len(reviews)}
    _keep(work, fold, task, factors)


def fit(work: Work, meter: Meter) -> None:
    """`fit_als`, with the iterations of the comparison."""
    config, fold = config_of(work), EncodedFold.load(work.fold)
    config = replace(config, train=replace(config.train, iterations=work.fit_iterations))
    matrix = fold.matrix
    with meter.part("fit"):
        fit_als(matrix, config.train)


def rank(work: Work, meter: Meter) -> None:
    """Exact lists of the judged users over the whole catalogue, seen items left out."""
    config = config_of(work)
    task = fold_task(EncodedFold.load(work.fold), config.evaluate)
    model = Als.of(np.load(work.factors), config.train.regularization)
    with meter.part("rank"):
        recommend_all(model, task.seen, task.seen, MAX_K)
    meter.notes |= {"users": len(task.rows), "items": task.seen.n_items}


def config_of(work: Work) -> RetrainConfig:
    """The defaults with the model's size, without ageing."""
    config = RetrainConfig()
    return replace(
        config,
        train=replace(config.train, factors=work.n_factors),
        encode=replace(config.encode, half_life_days=0.0),
        evaluate=replace(config.evaluate, max_users=work.n_judged),
    )


def _keep(work: Work, fold: EncodedFold, task: Task, factors: np.ndarray) -> None:
    work.fold.mkdir()
    fold.save(work.fold)
    np.save(work.factors, factors)
    ids = pq.read_table(work.folder / "parsed" / USERS)["id"]
    judged = ids.take(fold.user_codes[task.rows])
    work.users.write_text("".join(f"{user}\n" for user in judged.to_pylist()))


PIECES = {"script": script, "fit": fit, "rank": rank}


if __name__ == "__main__":
    run_piece(PIECES)
