"""The defaults against what a good engineer would tune by hand: plain ALS, item-kNN and EASE.

    python -m benchmarks.rivals REVIEWS ... [--splits 1] [--ease-items 15000]

Each file is a set of its own. All models have the same split and the same judged users. The defaults choose on a split
inside train. Every other model has no ageing and no item prior; of its grid the point that is best **on the holdout**
is taken, which favours it. The interval is that of (defaults - it), paired over users, as in the gate.

    plain ALS   factors 64, 128, 256 x alpha 20, 100; regularization 20
    item-kNN    BM25 with 20, 100, 500 neighbours; TF-IDF and cosine with 100
    EASE        lambda 50, 250, 1000 (Steck 2019); only where the catalogue has at most --ease-items items
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from include.recommender.config import KnnConfig, RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.evaluation.evaluate import ModelEvaluation, fold_task, judge
from include.recommender.evaluation.fitting import fit
from include.recommender.evaluation.gate import paired_interval, strongest_popularity
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.histories import Histories
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.knn.similarities import Similarities
from include.recommender.models.popularity import fit_popularity
from include.recommender.models.protocol import Scores, ScoringModel
from include.recommender.parameters.of_models import BM25, COSINE, TFIDF

from .quality import instants, read

DEFAULTS = "defaults"
FACTORS, ALPHAS = (64, 128, 256), (20.0, 100.0)
NEIGHBOURS = ((BM25, 20), (BM25, 100), (BM25, 500), (TFIDF, 100), (COSINE, 100))
LAMBDAS = (50.0, 250.0, 1_000.0)


@dataclass(frozen=True)
class ItemKnn:
    """Item-kNN alone: items without a neighbour in the history score 0."""

    similarities: Similarities

    def score(self, histories: Histories) -> Scores:
        """See `ScoringModel`."""
        return np.asarray(self.similarities.scores(histories).toarray(), dtype=np.float32)


@dataclass(frozen=True)
class Ease:
    """EASE: scores are histories times a dense matrix of item weights, float32, shape (n_items, n_items)."""

    weights: Scores

    @classmethod
    def of(cls, fold: EncodedFold, regularization: float) -> Ease:
        """The closed form: B = I - P diag(1 / P_ii), P = (X'X + lambda I)^-1, X the binary interactions."""
        binary = fold.matrix.copy()
        binary.data[:] = 1.0
        gram = np.asarray((binary.T @ binary).todense(), dtype=np.float32)
        gram[np.diag_indices_from(gram)] += np.float32(regularization)
        inverse = np.linalg.inv(gram)
        weights: Scores = np.asarray(-inverse / np.diag(inverse), dtype=np.float32)
        np.fill_diagonal(weights, 0.0)
        return cls(weights)

    def score(self, histories: Histories) -> Scores:
        """See `ScoringModel`."""
        binary = histories.matrix
        binary.data = np.ones_like(binary.data)
        return np.asarray(binary @ self.weights, dtype=np.float32)


@dataclass(frozen=True)
class Trial:
    """All models at one split: family -> name of the point -> its evaluation."""

    fold: EncodedFold
    judged: dict[str, dict[str, ModelEvaluation]]
    chosen: str

    def best(self, family: str, k: int) -> tuple[str, ModelEvaluation]:
        """The best point of a family on the holdout."""
        return max(self.judged[family].items(), key=lambda row: row[1].means[f"recall@{k}"])


def trial(fold: EncodedFold, config: RetrainConfig, ease_items: int) -> Trial:
    """Fit and judge everything on a fold."""
    fitted = fit(fold, config)
    task = fold_task(fitted.fold, config.evaluate)
    judged = {DEFAULTS: judge({DEFAULTS: fitted.model}, task, config.evaluate)}
    popular = judge(fit_popularity(fold.item_interactions, config.popularity), task, config.evaluate)
    strongest = strongest_popularity(
        {name: row.means[f"recall@{config.evaluate.top_k}"] for name, row in popular.items()}
    )
    judged["popularity"] = {strongest: popular[strongest]}
    for family, name, model, histories in _points(fold, config, ease_items):
        found = judge({name: model}, task, config.evaluate, histories.take(task.rows))
        judged.setdefault(family, {})[name] = found[name]
    return Trial(fold, judged, fitted.chosen.choice.text)


def _points(
    fold: EncodedFold, config: RetrainConfig, ease_items: int
) -> Iterator[tuple[str, str, ScoringModel, Histories]]:
    """Each model to judge: its family, its name, and the histories that it scores from."""
    for alpha in ALPHAS:
        plain = fold.reweighed(replace(config.encode, half_life_days=0.0, alpha=alpha))
        for factors in FACTORS:
            train = replace(config.train, factors=factors)
            als = Als.of(fit_als(plain.matrix, train)[0], train.regularization)
            yield "plain ALS", f"{factors} factors, alpha {alpha:g}", als, plain.histories
    for similarity, neighbours in NEIGHBOURS:
        knn = KnnConfig(similarity=similarity, neighbours=neighbours)
        yield "item-kNN", f"{similarity}, {neighbours}", ItemKnn(fit_similarities(fold.matrix, knn)), plain.histories
    for regularization in LAMBDAS if fold.matrix.shape[1] <= ease_items else ():
        yield "EASE", f"lambda {regularization:g}", Ease.of(fold, regularization), plain.histories


def table(trials: list[Trial], config: RetrainConfig) -> str:
    """A row a family over all splits; the best point of each split counts, and the last split's is named."""
    k, rows = config.evaluate.top_k, {}
    ours = np.concatenate([each.judged[DEFAULTS][DEFAULTS].recall for each in trials])
    for family in trials[-1].judged:
        best = [each.best(family, k) for each in trials]
        theirs = np.concatenate([row.recall for _, row in best])
        found = paired_interval(ours, theirs, config.gate)
        relative = f"{found.mean / theirs.mean():+.1%}" if theirs.mean() else ""
        rows[family] = {
            "recall": f"{theirs.mean():.4f}",
            "coverage": f"{np.mean([row.means[f'coverage@{k}'] for _, row in best]):.3f}",
            "defaults - it": "" if family == DEFAULTS else f"{found.mean:+.4f} ({found.low:+.4f}, {found.high:+.4f})",
            "relative": "" if family == DEFAULTS else relative,
            "point": trials[-1].chosen if family == DEFAULTS else best[-1][0],
        }
    return pd.DataFrame.from_dict(rows, orient="index").to_string()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "reviews", nargs="+", type=Path, help="review files, each a set: JSON lines, .gz of them or not"
    )
    parser.add_argument("--splits", type=int, default=1, help="points in time (1: the end of the reviews)")
    parser.add_argument("--ease-items", type=int, default=15_000, help="largest catalogue for EASE (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    config = RetrainConfig.from_params({"max_users": 0})
    for path in given.reviews:
        reviews = read([path], config)
        folds = [encode(reviews, as_of_s, config.encode) for as_of_s in instants(reviews, given.splits)]
        trials = [trial(fold, config, given.ease_items) for fold in folds]
        stats = folds[-1].stats
        print(
            f"\n{path.name}: {stats['train']:,} interactions in train, {stats['train_users']:,} users, "
            f"{stats['train_items']:,} items; {sum(len(each.judged[DEFAULTS][DEFAULTS].recall) for each in trials):,} "
            f"users judged at {len(trials)} split(s); Recall@{config.evaluate.top_k}\n{table(trials, config)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
