"""Reviews to a verdict through the library alone: parse, encode, fit, judge, decide. No Airflow, no S3.

Prints all contestants, each with the paired bootstrap interval of (candidate - it).

    python -m benchmarks.quality REVIEWS [--half-life-days N] ...
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from include.recommender.config import RetrainConfig, knobs
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.interactions import Reviews, parse_files
from include.recommender.evaluation.evaluate import Judged, fold_task, judge
from include.recommender.evaluation.gate import CANDIDATE, Verdict, decide, paired_interval
from include.recommender.evaluation.power import fit_power
from include.recommender.models.als import fit_als
from include.recommender.models.popularity import fit_popularity
from include.recommender.models.prior import ItemPrior, PriorAls, fit_prior
from include.recommender.models.protocol import Recommender


def fold_of(files: list[Path], config: RetrainConfig) -> EncodedFold:
    """The fold of all reviews in some files."""
    with tempfile.TemporaryDirectory() as scratch:
        parse_files([(path.name, path) for path in files], Path(scratch), config.parse)
        reviews = Reviews.load(Path(scratch))
        return encode(reviews, int(reviews.time.max()) + 1, config.encode)


def contestants(fold: EncodedFold, config: RetrainConfig) -> dict[str, Recommender]:
    """The candidate and every popularity."""
    als, _ = fit_als(fold.matrix, config.train)
    prior = replace(config.prior, power=fit_power(fold, config).power)
    counted = (fold.indices, fold.times, len(fold.item_codes), fold.stats["cut_s"])
    candidate = PriorAls(als, ItemPrior.of(fit_prior(*counted, prior), prior), fold.history)
    return {CANDIDATE: candidate, "without_prior": als, **fit_popularity(*counted, config.popularity)}


def report(judged: dict[str, Judged], verdict: Verdict, config: RetrainConfig) -> str:
    """The table, best first."""
    k = config.evaluate.top_k
    names = [f"{metric}@{k}" for metric in ("recall", "ndcg", "map", "mrr", "hit_rate", "coverage")]
    lines = [f"{'contestant':<22}" + "".join(f"{name:>13}" for name in names) + f"   candidate - it, Recall@{k}"]
    for name in sorted(judged, key=lambda name: -judged[name].means[names[0]]):
        row = f"{name:<22}" + "".join(f"{judged[name].means[column]:>13.4f}" for column in names)
        if name != CANDIDATE:
            interval = paired_interval(judged[CANDIDATE].recall, judged[name].recall, config.gate)
            row += f"   {interval.mean:+.4f} ({interval.low:+.4f}, {interval.high:+.4f})"
        lines.append(row)
    lines.append("Recall@K = hits in the top K / all held-out items of the user, mean over users.")
    return "\n".join([*lines, f"{verdict.decision}: {'; '.join(verdict.reasons)}"])


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", nargs="+", type=Path, help="review files: JSON lines, .gz of them or not")
    for each in knobs():
        if not each.is_list:
            option, kind = f"--{each.param.replace('_', '-')}", int if each.is_whole else float
            parser.add_argument(option, type=kind, help=f"{each.description.replace('%', '%%')} ({each.default})")
    given = vars(parser.parse_args())
    files = given.pop("reviews")
    config = RetrainConfig.from_params(given)
    started = time.monotonic()
    fold = fold_of(files, config)
    parsed = time.monotonic()
    models = contestants(fold, config)
    fitted = time.monotonic()
    task = fold_task(fold, config.evaluate)
    judged = judge(models, task, config.evaluate)
    done = time.monotonic()
    verdict = decide({name: row.recall for name, row in judged.items()}, config.evaluate.top_k, config.gate)
    stats = fold.stats
    print(
        f"{stats['interactions']:,} interactions, train {stats['train']:,} ({stats['train_users']:,} users, "
        f"{stats['train_items']:,} items), holdout {stats['holdout']:,}, judged {stats['judged_users']:,} users"
    )
    print(f"parse and encode {parsed - started:.1f} s, fit {fitted - parsed:.1f} s, judge {done - fitted:.1f} s\n")
    print(report(judged, verdict, config))


if __name__ == "__main__":
    main()
