"""The steps of a search, one plain function a task: artifacts and small values in, the same out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EncodeConfig, RetrainConfig, TuneConfig
from ..data.encoding import EncodedFold
from ..data.interactions import Reviews
from ..errors import ConfigError, DataError
from ..evaluation.gate import Interval, paired_interval
from ..evaluation.metrics import Floats
from ..registry.code import code_of
from ..stages.prepare import encode_interactions, known_until
from ..stages.workspace import Workspace, run_once
from ..storage.arrays import load_array
from ..storage.artifacts import Artifact
from .folds import inner_instants
from .space import Values, applied, chosen, values_of
from .study import Result, best_of, hopeless
from .trial import CannotTrainError, judge_configuration, quietly, told

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is searched, and where it is judged.

    folds : URIs of the folds, in the order in which trials are judged: the newest first
    confirm : URI of the fold that only default and winner are judged on; it is newer than all of `folds`
    cut_s : the cut of the retraining whose holdout is left alone; no fold knows anything at or after it
    holdouts : of each of `folds`, then of `confirm`, the instants at which its holdout begins and ends
    """

    names: list[str]
    defaults: Values
    folds: list[str]
    confirm: str
    cut_s: int
    holdouts: list[list[int]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


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
    instants = inner_instants(reviews, as_of_s, base.encode, config.cuts)
    # Trials weigh anew, and filter; so the folds do not depend on the run's own weights.
    everybody = EncodeConfig(holdout_fraction=base.encode.holdout_fraction)
    folds = [
        encode_interactions(workspace, parsed, datetime.fromtimestamp(instant, UTC), everybody).artifact
        for instant in instants
    ]
    counts = folds[-1].counts
    names = chosen(search, bool(counts["verified"] and counts["unverified"]))
    for fold in folds:
        if fold.counts["last_s"] >= instants[-1]:
            raise DataError(f"{fold.uri}: knows reviews at or after the cut {instants[-1]}")
    log.info(
        "Searching %s over %d points in time, confirming as of %s",
        ", ".join(names),
        config.cuts,
        datetime.fromtimestamp(instants[-1], UTC).isoformat(),
    )
    *searched, confirm = zip(folds, instants, strict=True)
    judged = [*reversed(searched), confirm]
    uris = [fold.uri for fold, _ in judged]
    holdouts = [[fold.counts["cut_s"], as_of_s] for fold, as_of_s in judged]
    return Plan(names, values_of(base, names), uris[:-1], uris[-1], instants[-1], holdouts)


def run_trial(
    workspace: Workspace,
    plan: Plan,
    number: int,
    values: Values,
    results: Sequence[Result],
    base: RetrainConfig,
    config: TuneConfig,
) -> Result:
    """One configuration at one cut after the other, until it has no hope left.

    Parameters
    ----------
    results : trials of the rounds before; the best of them is what it is compared with
    """
    own_config = base if number == 0 else applied(base, values)
    best = best_of(results, config)
    theirs = [recall_of(workspace, uri) for uri in best.artifacts] if best else []
    own: list[Floats] = []
    judged: list[Artifact] = []
    pruned, started = False, time.monotonic()
    for uri in plan.folds:
        try:
            judged.append(judge_at(workspace, workspace.artifacts.open(uri), own_config))
        except CannotTrainError as error:
            if number == 0:
                raise ConfigError(f"The run's own values cannot be trained: {error}") from error
            log.warning("Trial %d cannot be judged: %s", number, error)
            pruned = True
            break
        own.append(recall_of(workspace, judged[-1].uri))
        below = hopeless(own, theirs, config) if theirs and len(own) < len(plan.folds) else None
        if below:
            log.info("Stopped early: %+.4f (%+.4f, %+.4f) against the best", below.mean, below.low, below.high)
            pruned = True
            break
    result = Result(
        number,
        values,
        [float(recall.mean()) for recall in own],
        float(np.concatenate(own).mean()) if own else 0.0,
        float(np.mean([row.counts["coverage"] for row in judged])) if judged else 0.0,
        pruned,
        time.monotonic() - started,
        [row.uri for row in judged],
    )
    told_early = f" (stopped early, after {len(own)} of {len(plan.folds)} cuts)" if pruned else ""
    log.info("Trial %d: %.4f, coverage %.3f%s", number, result.objective, result.coverage, told_early)
    log.info("  %s", told(values))
    return result


def judge_at(workspace: Workspace, fold: Artifact, config: RetrainConfig) -> Artifact:
    """One configuration on one fold: recall.npy, one value a judged user. Factors are not kept."""

    def make(directory: Path) -> dict[str, Any]:
        with quietly():
            judged = judge_configuration(EncodedFold.load(workspace.artifacts.path(fold)), config)
        np.save(directory / "recall.npy", judged.recall, allow_pickle=False)
        return {"recall": float(judged.recall.mean()), "coverage": judged.coverage, "prior": judged.prior}

    parts = {name: asdict(getattr(config, name)) for name in ("encode", "train", "prior", "evaluate")}
    return run_once(workspace, "tune_trial", code_of(__name__), parts, {"fold": fold.digest}, make).artifact


def recall_of(workspace: Workspace, uri: str) -> Floats:
    """Recall@K of each judged user that `judge_at` kept, float64."""
    path = workspace.artifacts.path(workspace.artifacts.open(uri))
    recall: Floats = load_array(path / "recall.npy", np.float64, (None,))
    return recall


@dataclass(frozen=True)
class Choice:
    """The winner, against the defaults.

    searched : interval over all judged users of the cuts that the search looked at; it favours the winner, which was
        chosen there
    confirmed : on the newest cut, which no trial was chosen on, at `confirm_level`
    alone : the same at `alone_level`: that of the gate, or `confirm_level` where it is higher
    *_users : how many judged users stand behind an interval; who is judged at two cuts counts twice
    confirmed_covers : coverage on the newest cut, winner and defaults
    too_narrow : it recommends better, but covers too little there; then it is not `better`
    """

    trials: int
    number: int
    values: Values
    better: bool
    too_narrow: bool
    searched: Interval
    confirmed: Interval
    alone: Interval
    alone_level: float
    by_cut: list[Interval]
    default_recall: float
    best_recall: float
    confirmed_default: float
    confirmed_best: float
    searched_users: int
    confirmed_users: int
    confirmed_covers: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def recommends_better(searched: Interval, confirmed: Interval, alone: Interval) -> bool:
    """Whether the newest cut says so by itself, or confirms what the search's cuts say.

    A winner was chosen on the search's cuts, so they alone would say "better" of noise. The newest is asked about one
    trial only: its interval at the level of the gate errs as seldom as that level says. To confirm may err as often as
    `confirm_level` says, where the cuts of the search say "better" too.
    """
    return alone.low > 0 or (searched.low > 0 and confirmed.low > 0)


def covers_enough(covers: tuple[float, float], least: float) -> bool:
    """Whether the winner covers at least a share of what the defaults do; `covers` of winner and defaults."""
    own, theirs = covers
    return own >= least * theirs


def choose(
    workspace: Workspace, plan: Plan, results: Sequence[Result], base: RetrainConfig, search: TuneConfig
) -> Choice:
    """The best trial against the defaults, on the cuts of the search and on one that it never looked at.

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
    covers = last[0].counts["coverage"], last[1].counts["coverage"]
    confirmed = paired_interval(last_ours, last_theirs, replace(base.gate, confidence_level=search.confirm_level))
    level = max(base.gate.confidence_level, search.confirm_level)
    alone = paired_interval(last_ours, last_theirs, replace(base.gate, confidence_level=level))
    stronger = best.number != 0 and recommends_better(searched, confirmed, alone)
    wide = covers_enough(covers, search.min_coverage)
    choice = Choice(
        len(results),
        best.number,
        best.values,
        stronger and wide,
        stronger and not wide,
        searched,
        confirmed,
        alone,
        level,
        [paired_interval(own, other, base.gate) for own, other in zip(ours, theirs, strict=True)],
        float(np.concatenate(theirs).mean()),
        best.objective,
        float(last_theirs.mean()),
        float(last_ours.mean()),
        sum(map(len, theirs)),
        len(last_theirs),
        covers,
    )
    log.info("Best: trial %d, %.4f; defaults %.4f", best.number, choice.best_recall, choice.default_recall)
    log.info("  %s", told(best.values))
    log.info("On the cuts of the search: %+.4f (%+.4f, %+.4f)", searched.mean, searched.low, searched.high)
    for asked, at in ((confirmed, search.confirm_level), (alone, level)):
        log.info("On the newest cut: %+.4f, %g %% (%+.4f, %+.4f)", asked.mean, 100 * at, asked.low, asked.high)
    log.info("Coverage on the newest cut: %.3f; of the defaults %.3f", *covers)
    log.info("Better than the defaults: %s", outcome(choice))
    return choice


def outcome(choice: Choice) -> str:
    """The answer in a few words."""
    if choice.too_narrow:
        return "it recommends better, but covers too little"
    return "yes" if choice.better else "no evidence"
