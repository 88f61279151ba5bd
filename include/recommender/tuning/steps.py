"""The steps of a search, one plain function a task: artifacts and small values in, the same out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EncodeConfig, RetrainConfig, TuneConfig
from ..data.counts import FoldCounts
from ..data.encoding import EncodedFold
from ..data.reviews import Reviews
from ..errors import ConfigError, DataError
from ..evaluation.gate import paired_interval
from ..evaluation.metrics import Floats
from ..registry.code import code_of
from ..registry.verdict import Interval
from ..stages.facts import Tried
from ..stages.prepare import encode_interactions, known_until
from ..stages.workspace import Stage, Workspace, run_once
from ..storage.arrays import load_array
from ..storage.artifacts import Artifact
from .folds import inner_instants
from .records import Asked, Choice, Plan, Result
from .space import applied, chosen, values_of
from .study import best_of, hopeless
from .trial import CannotTrainError, judge_configuration, quietly, told

log = logging.getLogger(__name__)


def plan(
    workspace: Workspace,
    parsed: Artifact,
    as_of: datetime,
    search: Sequence[str] | None,
    base: RetrainConfig,
    config: TuneConfig,
) -> Plan:
    """Choose the parameters and encode the folds, each once for all trials.

    Raises
    ------
    ConfigError
        A name that cannot be searched.
    DataError
        Train is too short.
    """
    reviews = Reviews.load(workspace.artifacts.path(parsed))
    as_of_s = known_until(workspace, parsed, as_of)
    instants = inner_instants(reviews, as_of_s, base.encode, config.splits)
    # Trials weigh anew, and filter; so the folds do not depend on the run's own weights.
    everybody = EncodeConfig(holdout_fraction=base.encode.holdout_fraction)
    folds = [
        encode_interactions(workspace, parsed, datetime.fromtimestamp(instant, UTC), everybody).artifact
        for instant in instants
    ]
    counts = [fold.counted(FoldCounts) for fold in folds]
    names = chosen(search, bool(counts[-1].verified and counts[-1].unverified))
    for fold, known in zip(folds, counts, strict=True):
        if known.last_s >= instants[-1]:
            raise DataError(f"{fold.uri}: knows reviews at or after the split time {instants[-1]}")
    log.info(
        "Searching %s over %d points in time, confirming as of %s",
        ", ".join(names),
        config.splits,
        datetime.fromtimestamp(instants[-1], UTC).isoformat(),
    )
    order = [*reversed(range(config.splits)), config.splits]
    uris = [folds[at].uri for at in order]
    return Plan(
        names=names,
        defaults=values_of(base, names),
        folds=uris[:-1],
        confirm=uris[-1],
        split_s=instants[-1],
        holdouts=[(counts[at].split_s, instants[at]) for at in order],
    )


def run_trial(
    workspace: Workspace,
    plan: Plan,
    asked: Asked,
    results: Sequence[Result],
    base: RetrainConfig,
    config: TuneConfig,
) -> Result:
    """One configuration at one split after the other, until it has no hope left.

    Parameters
    ----------
    results : trials of the rounds before; the best of them is what it is compared with
    """
    own_config = applied(base, asked.values) if asked.number else base
    best = best_of(results, config)
    theirs = [recall_of(workspace, uri) for uri in best.artifacts] if best else []
    own: list[Floats] = []
    judged: list[Artifact] = []
    pruned, started = False, time.monotonic()
    for uri in plan.folds:
        try:
            judged.append(judge_at(workspace, workspace.artifacts.open(uri), own_config))
        except CannotTrainError as error:
            if not asked.number:
                raise ConfigError(f"The run's own values cannot be trained: {error}") from error
            log.warning("Trial %d cannot be judged: %s", asked.number, error)
            pruned = True
            break
        own.append(recall_of(workspace, judged[-1].uri))
        below = hopeless(own, theirs, config) if theirs and len(own) < len(plan.folds) else None
        if below:
            log.info("Stopped early: %+.4f (%+.4f, %+.4f) against the best", below.mean, below.low, below.high)
            pruned = True
            break
    result = Result(
        number=asked.number,
        values=asked.values,
        recalls=[float(recall.mean()) for recall in own],
        objective=float(np.concatenate(own).mean()) if own else 0.0,
        coverage=float(np.mean([row.counted(Tried).coverage for row in judged])) if judged else 0.0,
        pruned=pruned,
        seconds=time.monotonic() - started,
        artifacts=[row.uri for row in judged],
    )
    told_early = f" (stopped early, after {len(own)} of {len(plan.folds)} splits)" if pruned else ""
    log.info("Trial %d: %.4f, coverage %.3f%s", asked.number, result.objective, result.coverage, told_early)
    log.info("  %s", told(asked.values))
    return result


def judge_at(workspace: Workspace, fold: Artifact, config: RetrainConfig) -> Artifact:
    """One configuration on one fold: recall.npy, one value a judged user. Factors are not kept."""

    def make(directory: Path) -> dict[str, Any]:
        with quietly():
            judged = judge_configuration(EncodedFold.load(workspace.artifacts.path(fold)), config)
        np.save(directory / "recall.npy", judged.recall, allow_pickle=False)
        return {"recall": float(judged.recall.mean()), "coverage": judged.coverage, "prior": judged.prior}

    parts = {name: asdict(getattr(config, name)) for name in ("encode", "train", "prior", "evaluate")}
    return run_once(
        workspace, Stage("tune_trial", code_of(__name__)), config=parts, inputs={"fold": fold.digest}, make=make
    ).artifact


def recall_of(workspace: Workspace, uri: str) -> Floats:
    """Recall@K of each judged user that `judge_at` kept, float64."""
    path = workspace.artifacts.path(workspace.artifacts.open(uri))
    recall: Floats = load_array(path / "recall.npy", np.float64, (None,))
    return recall


def recommends_better(searched: Interval, confirmed: Interval, alone: Interval) -> bool:
    """Whether the newest split says so by itself, or confirms what the search's splits say.

    A winner was chosen on the search's splits, so they alone would say "better" of noise. The newest is asked about one
    trial only: its interval at the level of the gate errs as seldom as that level says. To confirm may err as often as
    `confirm_level` says, where the splits of the search say "better" too.
    """
    return alone.low > 0 or (searched.low > 0 and confirmed.low > 0)


def covers_enough(covers: tuple[float, float], least: float) -> bool:
    """Whether the winner covers at least a share of what the defaults do; `covers` of winner and defaults."""
    own, theirs = covers
    return own >= least * theirs


def choose(
    workspace: Workspace, plan: Plan, results: Sequence[Result], base: RetrainConfig, search: TuneConfig
) -> Choice:
    """The best trial against the defaults, on the splits of the search and on one that it never looked at.

    See `recommends_better` and `covers_enough` for what it takes.
    """
    by_number = {row.number: row for row in results}
    default, best = by_number[0], best_of(results, search) or by_number[0]
    ours, theirs = ([recall_of(workspace, uri) for uri in row.artifacts] for row in (best, default))
    searched = paired_interval(np.concatenate(ours), np.concatenate(theirs), base.gate)
    fold = workspace.artifacts.open(plan.confirm)
    config = applied(base, best.values) if best.number else base
    last = [judge_at(workspace, fold, each) for each in (config, base)]
    last_ours, last_theirs = (recall_of(workspace, row.uri) for row in last)
    covers = last[0].counted(Tried).coverage, last[1].counted(Tried).coverage
    confirmed = paired_interval(last_ours, last_theirs, replace(base.gate, confidence_level=search.confirm_level))
    level = max(base.gate.confidence_level, search.confirm_level)
    alone = paired_interval(last_ours, last_theirs, replace(base.gate, confidence_level=level))
    stronger = best.number != 0 and recommends_better(searched, confirmed, alone)
    wide = covers_enough(covers, search.min_coverage)
    choice = Choice(
        trials=len(results),
        number=best.number,
        values=best.values,
        better=stronger and wide,
        too_narrow=stronger and not wide,
        searched=searched,
        confirmed=confirmed,
        alone=alone,
        alone_level=level,
        by_split=[paired_interval(own, other, base.gate) for own, other in zip(ours, theirs, strict=True)],
        default_recall=float(np.concatenate(theirs).mean()),
        best_recall=best.objective,
        confirmed_default=float(last_theirs.mean()),
        confirmed_best=float(last_ours.mean()),
        searched_users=sum(map(len, theirs)),
        confirmed_users=len(last_theirs),
        confirmed_covers=covers,
    )
    log.info("Best: trial %d, %.4f; defaults %.4f", best.number, choice.best_recall, choice.default_recall)
    log.info("  %s", told(best.values))
    log.info("On the splits of the search: %+.4f (%+.4f, %+.4f)", searched.mean, searched.low, searched.high)
    for asked, at in ((confirmed, search.confirm_level), (alone, level)):
        log.info("On the newest split: %+.4f, %g %% (%+.4f, %+.4f)", asked.mean, 100 * at, asked.low, asked.high)
    log.info("Coverage on the newest split: %.3f; of the defaults %.3f", *covers)
    log.info("Better than the defaults: %s", outcome(choice))
    return choice


def outcome(choice: Choice) -> str:
    """The answer in a few words."""
    if choice.too_narrow:
        return "it recommends better, but covers too little"
    return "yes" if choice.better else "no evidence"
