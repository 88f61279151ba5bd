"""The steps of a search, one function a task: artifacts and small values in, the same out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..config import EncodeConfig, RetrainConfig, TuneConfig
from ..data.counts import FoldCounts
from ..data.encoding import EncodedFold
from ..data.reviews import Reviews
from ..errors import ConfigError, DataError
from ..evaluation.metrics import Floats
from ..registry.code import code_of
from ..stages.facts import TrialCounts
from ..stages.prepare import encode_interactions, known_until
from ..stages.workspace import Stage, Workspace, run_once
from ..storage.arrays import load_array
from ..storage.artifacts import Artifact
from .folds import inner_instants
from .records import Plan, TrialRequest, TrialResult
from .space import applied, check_read, searched, values_of, values_text
from .study import best_of, hopeless
from .trial import CannotTrainError, judge_configuration, quietly

log = logging.getLogger(__name__)

# The sections of a configuration that a judgement depends on.
JUDGED = ("encode", "model", "train", "knn", "prior", "evaluate")


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
        A name that cannot be searched, or one that the model does not read.
    DataError
        Train is too short.
    """
    check_read(search or (), base)
    reviews = Reviews.load(workspace.artifacts.path(parsed))
    as_of_s = known_until(workspace, parsed, as_of)
    instants = inner_instants(reviews, as_of_s, base.encode, config.splits)
    folds = _encode_folds(workspace, parsed, instants, base.encode.holdout_fraction)
    counts = [fold.counted(FoldCounts) for fold in folds]
    names = searched(search, bool(counts[-1].verified and counts[-1].unverified))
    end = datetime.fromtimestamp(instants[-1], UTC).isoformat()
    log.info("Searching %s on %d splits, confirming as of %s", ", ".join(names), config.splits, end)
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


def _encode_folds(
    workspace: Workspace, parsed: Artifact, instants: Sequence[int], holdout_fraction: float
) -> list[Artifact]:
    """A fold as of each instant, with default weights and minimum counts: each trial sets its own.

    Raises
    ------
    DataError
        A fold knows reviews at or after the last instant.
    """
    config = EncodeConfig(holdout_fraction=holdout_fraction)
    folds = [
        encode_interactions(workspace, parsed, datetime.fromtimestamp(instant, UTC), config).artifact
        for instant in instants
    ]
    for fold in folds:
        if fold.counted(FoldCounts).last_s >= instants[-1]:
            raise DataError(f"{fold.uri}: knows reviews at or after the split time {instants[-1]}")
    return folds


@dataclass
class _JudgedSplits:
    """The splits at which a trial was judged so far; `pruned` if the trial was stopped before the last."""

    artifacts: list[Artifact] = field(default_factory=list)
    recalls: list[Floats] = field(default_factory=list)
    pruned: bool = False

    def result(self, trial: TrialRequest, seconds: float) -> TrialResult:
        """The stored result of the trial."""
        counts = [artifact.counted(TrialCounts) for artifact in self.artifacts]
        return TrialResult(
            number=trial.number,
            values=trial.values,
            recalls=[float(recall.mean()) for recall in self.recalls],
            objective=float(np.concatenate(self.recalls).mean()) if self.recalls else 0.0,
            coverage=float(np.mean([row.coverage for row in counts])) if counts else 0.0,
            pruned=self.pruned,
            seconds=seconds,
            artifacts=[artifact.uri for artifact in self.artifacts],
            choices=[row.choice for row in counts],
        )


def run_trial(
    workspace: Workspace,
    plan: Plan,
    trial: TrialRequest,
    results: Sequence[TrialResult],
    base: RetrainConfig,
    config: TuneConfig,
) -> TrialResult:
    """Judge one configuration on the splits of the search, one after the other; stop it if it is clearly worse.

    Parameters
    ----------
    results : trials of the earlier rounds; the trial is compared with the best of them

    Raises
    ------
    ConfigError
        Trial 0, the run's own values, cannot be trained.
    """
    started = time.monotonic()
    best = best_of(results, config)
    theirs = [recall_of(workspace, uri) for uri in best.artifacts] if best else []
    splits = _JudgedSplits()
    try:
        own = applied(base, trial.values) if trial.number else base
        _judge_splits(workspace, plan, own, splits=splits, theirs=theirs, config=config)
    except CannotTrainError as error:
        if not trial.number:
            raise ConfigError(f"The run's own values cannot be trained: {error}") from error
        log.warning("Trial %d cannot be judged: %s", trial.number, error)
        splits.pruned = True
    result = splits.result(trial, time.monotonic() - started)
    stopped = f" (stopped early, after {len(splits.recalls)} of {len(plan.folds)} splits)" if splits.pruned else ""
    log.info("Trial %d: %.4f, coverage %.3f%s", trial.number, result.objective, result.coverage, stopped)
    log.info("  %s", values_text(trial.values))
    return result


def _judge_splits(
    workspace: Workspace,
    plan: Plan,
    own: RetrainConfig,
    *,
    splits: _JudgedSplits,
    theirs: Sequence[Floats],
    config: TuneConfig,
) -> None:
    """Add to `splits` until the last fold, or until the interval against the best lies below 0."""
    for uri in plan.folds:
        splits.artifacts.append(judge_at(workspace, workspace.artifacts.open(uri), own))
        splits.recalls.append(recall_of(workspace, splits.artifacts[-1].uri))
        is_last = len(splits.recalls) == len(plan.folds)
        below = hopeless(splits.recalls, theirs, config) if theirs and not is_last else None
        if below:
            log.info("Stopped early: %+.4f (%+.4f, %+.4f) against the best", below.mean, below.low, below.high)
            splits.pruned = True
            return


def judge_at(workspace: Workspace, fold: Artifact, config: RetrainConfig) -> Artifact:
    """Judge one configuration on one fold: recall.npy, one value a judged user. Factors are not stored."""

    def make(directory: Path) -> TrialCounts:
        with quietly():
            judged = judge_configuration(EncodedFold.load(workspace.artifacts.path(fold)), config)
        np.save(directory / "recall.npy", judged.recall, allow_pickle=False)
        return TrialCounts(float(judged.recall.mean()), judged.coverage, judged.choice)

    parts = {name: asdict(getattr(config, name)) for name in JUDGED}
    return run_once(
        workspace, Stage("tune_trial", code_of(__name__)), config=parts, inputs={"fold": fold.digest}, make=make
    ).artifact


def recall_of(workspace: Workspace, uri: str) -> Floats:
    """Load Recall@K of each judged user from the output of `judge_at`, float64."""
    path = workspace.artifacts.path(workspace.artifacts.open(uri))
    recall: Floats = load_array(path / "recall.npy", np.float64, (None,))
    return recall
