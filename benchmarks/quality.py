"""Reviews to a verdict through the library alone: parse, encode, fit, judge, decide. No Airflow, no S3.

Prints all models, each with the paired bootstrap interval of (candidate - it). With `--splits N` it does so at N
points in time, up to the end of the reviews, and prints Recall@K of each, since one month may be an exception.

    python -m benchmarks.quality REVIEWS [--splits N] [--half-life-days N] ...
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import sem
from scipy.stats import t as student

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import Reviews
from include.recommender.evaluation.chosen import ChosenModel
from include.recommender.evaluation.evaluate import ModelEvaluation, Task, fold_task, judge
from include.recommender.evaluation.fitting import fit
from include.recommender.evaluation.gate import CANDIDATE, decide, paired_interval
from include.recommender.evaluation.rivals import fit_plain_als, judge_rivals
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.popularity import fit_popularity
from include.recommender.models.protocol import ScoringModel
from include.recommender.models.rivals import RIVALS
from include.recommender.parameters import RETRAIN, RUN
from include.recommender.parameters.kinds import Several
from include.recommender.parameters.options import add_option
from include.recommender.registry.verdict import Verdict

WITHOUT_PRIOR = "without_prior"
COMPARED = [CANDIDATE, WITHOUT_PRIOR, *RIVALS, "popularity"]  # over time; the last is the strongest one
CHOSEN = ("knn_weight", "factors", "half_life_days", "prior_power", "prior_half_life_days")
FORMATS = {**dict.fromkeys(CHOSEN, "{:g}".format), "users": "{:,}".format, "ratio": "{:.2f}".format}
EARLIEST = 0.5  # of all reviews: the first of several points in time


def read(files: list[Path], config: RetrainConfig) -> Reviews:
    """All reviews of some files."""
    with tempfile.TemporaryDirectory() as scratch:
        parse_files([(path.name, path) for path in files], Path(scratch), config.parse)
        reviews = Reviews.load(Path(scratch))
        return reviews.take(slice(None))


def fold_of(files: list[Path], config: RetrainConfig) -> EncodedFold:
    """The fold of all reviews in some files."""
    reviews = read(files, config)
    return encode(reviews, int(reviews.time.max()) + 1, config.encode)


def judged_models(
    fold: EncodedFold, task: Task, config: RetrainConfig
) -> tuple[dict[str, ModelEvaluation], ChosenModel]:
    """The candidate, itself without the prior, plain ALS and plain item-kNN without ageing, and every popularity."""
    fitted = fit(fold, config)
    models: dict[str, ScoringModel] = {CANDIDATE: fitted.model, WITHOUT_PRIOR: fitted.model.without_prior}
    models |= fit_popularity(fold.item_interactions, config.popularity)
    judged = judge(models, task, config.evaluate, fitted.fold.histories.take(task.rows))
    similar = fit_similarities(fold.matrix, config.knn)
    judged |= judge_rivals(fit_plain_als(fold, config)[0], similar, fold, task, config)
    return judged, fitted.chosen


@dataclass(frozen=True, kw_only=True)
class SplitTrial:
    """All models at one split time."""

    fold: EncodedFold
    rows: np.ndarray
    judged: dict[str, ModelEvaluation]
    verdict: Verdict
    chosen: ChosenModel

    @classmethod
    def at(cls, reviews: Reviews, as_of_s: int, config: RetrainConfig) -> SplitTrial:
        """Encode, fit, judge and decide as of an instant."""
        fold = encode(reviews, as_of_s, config.encode)
        task = fold_task(fold, config.evaluate)
        judged, chosen = judged_models(fold, task, config)
        verdict = decide({name: row.recall for name, row in judged.items()}, config.evaluate.top_k, config.gate)
        return cls(fold=fold, rows=task.rows, judged=judged, verdict=verdict, chosen=chosen)

    @property
    def day(self) -> str:
        """The date of the split."""
        return str(np.datetime64(self.fold.split_s, "s").astype("datetime64[D]"))

    @property
    def recalls(self) -> pd.DataFrame:
        """A row a judged user: the user's code, and Recall@K of each of COMPARED."""
        names = {**{name: name for name in COMPARED}, "popularity": self.verdict.baseline}
        recalls = {column: self.judged[name].recall for column, name in names.items()}
        return pd.DataFrame({"user": self.fold.user_codes[self.rows], **recalls})


def instants(reviews: Reviews, n: int) -> list[int]:
    """Some points in time, seconds since 1970, from EARLIEST of the reviews to their end; of one, the end."""
    times = np.sort(reviews.time)
    shares = np.linspace(EARLIEST, 1.0, n) if n > 1 else [1.0]
    return [int(times[int(share * len(times)) - 1]) + 1 for share in shares]


def report(trial: SplitTrial, config: RetrainConfig) -> str:
    """The table, best first."""
    k, judged = config.evaluate.top_k, trial.judged
    names = [f"{metric}@{k}" for metric in ("recall", "ndcg", "map", "mrr", "hit_rate", "coverage")]
    means = {name: row.means for name, row in judged.items()}
    table = pd.DataFrame.from_dict(means, orient="index", columns=names).sort_values(names[0], ascending=False)
    table["candidate - it, Recall"] = [_ahead_of(name, judged, config) for name in table.index]
    ratio = trial.verdict.candidate_recall / trial.verdict.baseline_recall if trial.verdict.baseline_recall else np.nan
    lines = [
        table.to_string(float_format="{:.4f}".format),
        "Recall@K = hits in the top K / all held-out items of the user, mean over users.",
        f"Chosen: {trial.chosen.choice.text}, {trial.chosen.why}",
        f"Candidate / strongest popularity: {ratio:.2f}",
        f"{trial.verdict.decision}: {'; '.join(trial.verdict.reasons)}",
    ]
    return "\n".join(lines)


def _ahead_of(name: str, judged: dict[str, ModelEvaluation], config: RetrainConfig) -> str:
    if name == CANDIDATE:
        return ""
    found = paired_interval(judged[CANDIDATE].recall, judged[name].recall, config.gate)
    return f"{found.mean:+.4f} {_interval_text((found.low, found.high))}"


def over_time(trials: list[SplitTrial], config: RetrainConfig) -> str:
    """Recall@K a point in time and over all users of all points; then the candidate minus each other model."""
    users = pd.concat([trial.recalls for trial in trials], keys=range(len(trials)), names=["split"])
    lines = [
        split_means(trials, users).to_string(na_rep="", float_format="{:.4f}".format, formatters=FORMATS),
        f"Recall@{config.evaluate.top_k}; popularity: the strongest at that split, chosen on its holdout.",
        "Candidate minus",
        gains(users, config).to_string(float_format="{:+.4f}".format),
        f"{config.gate.confidence_level * 100:g} %. Users drawn: these splits, whole users, by bootstrap.",
        "Splits drawn: as if they were a sample of all, by Student's t, for the mean of such splits and for one more.",
        "The splits share much of their train part.",
    ]
    return "\n".join(lines)


def split_means(trials: list[SplitTrial], users: pd.DataFrame) -> pd.DataFrame:
    """A row a split with its mean recalls, what was chosen and its verdict; the last row is the mean over all users."""
    by_split = users.groupby("split")
    table = by_split[COMPARED].mean()
    table.loc["all"] = users[COMPARED].mean()
    table.insert(0, "users", [*by_split.size(), len(users)])
    for place, name in enumerate(CHOSEN, 1):
        table.insert(place, name, [*(getattr(trial.chosen.choice, name) for trial in trials), np.nan])
    table["ratio"] = table[CANDIDATE] / table["popularity"]
    table["verdict"] = [*(trial.verdict.decision for trial in trials), ""]
    return table.set_axis([*(trial.day for trial in trials), "all"])


def gains(users: pd.DataFrame, config: RetrainConfig) -> pd.DataFrame:
    """A row a model: the mean by which the candidate is ahead, over all users and over splits, with intervals."""
    rows = {}
    for name in COMPARED[1:]:
        gain = users[CANDIDATE] - users[name]
        of_splits = gain.groupby("split").mean()
        of_mean, of_next = by_split(of_splits.tolist(), config)
        rows[name] = {
            "all": gain.mean(),
            "users drawn": _interval_text(by_user(gain.to_numpy(), users["user"].to_numpy(), config)),
            "mean of splits": of_splits.mean(),
            "splits drawn": _interval_text(of_mean),
            "one more split": _interval_text(of_next),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _interval_text(interval: tuple[float, float]) -> str:
    return f"({interval[0]:+.4f}, {interval[1]:+.4f})"


def by_split(differences: list[float], config: RetrainConfig) -> tuple[tuple[float, float], tuple[float, float]]:
    """Student's intervals of the mean difference of such splits, and of the difference at one more of them."""
    values = np.array(differences)
    half = student.ppf((1 + config.gate.confidence_level) / 2, len(values) - 1) * sem(values)
    ahead = half * np.sqrt(1 + len(values))
    mean = float(values.mean())
    return (mean - half, mean + half), (mean - ahead, mean + ahead)


def by_user(differences: np.ndarray, users: np.ndarray, config: RetrainConfig) -> tuple[float, float]:
    """Bootstrap interval of a mean where one user may have several values: whole users are drawn."""
    owner = np.unique(users, return_inverse=True)[1]
    total, count = np.bincount(owner, weights=differences), np.bincount(owner)
    rng = np.random.default_rng(config.gate.seed)
    means = []
    for _ in range(config.gate.resamples):
        drawn = rng.multinomial(len(total), np.full(len(total), 1 / len(total)))
        means.append((drawn @ total) / (drawn @ count))
    tail = (1 - config.gate.confidence_level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", nargs="+", type=Path, help="review files: JSON lines, .gz of them or not")
    parser.add_argument("--splits", type=int, default=1, help="points in time (1: the end of the reviews)")
    for name, each in RETRAIN.items():
        if name not in RUN and not isinstance(each.kind, Several):
            add_option(parser, each, default=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    files, splits = given.pop("reviews"), given.pop("splits")
    config = RetrainConfig.from_params(given)
    logging.basicConfig(level=logging.WARNING)
    started = time.monotonic()
    reviews = read(files, config)
    trials = [SplitTrial.at(reviews, as_of_s, config) for as_of_s in instants(reviews, splits)]
    stats = trials[-1].fold.stats
    print(
        f"{stats['interactions']:,} interactions, train {stats['train']:,} ({stats['train_users']:,} users, "
        f"{stats['train_items']:,} items), holdout {stats['holdout']:,}, judged {stats['judged_users']:,} users; "
        f"{time.monotonic() - started:.1f} s\n"
    )
    print(report(trials[-1], config))
    if splits > 1:
        print(f"\n{over_time(trials, config)}")


if __name__ == "__main__":
    main()
