"""The steps of a search, one plain function a task: artifacts and small values in, the same out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EncodeConfig, RetrainConfig, TuneConfig
from ..data.encoding import EncodedFold
from ..data.interactions import Reviews
from ..errors import DataError
from ..evaluation.metrics import Floats
from ..stages.prepare import encode_interactions
from ..stages.workspace import Workspace, run_once
from ..storage.artifacts import Artifact
from .folds import inner_instants
from .space import Values, applied, chosen, values_of
from .study import Result, best_of, hopeless
from .trial import judge_configuration, told

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is searched, and where it is judged.

    folds : URIs of the folds, in the order in which trials are judged: the newest first
    confirm : URI of the fold that only default and winner are judged on; it is newer than all of `folds`
    cut_s : the cut of the retraining whose holdout is left alone; no fold knows anything at or after it
    """

    names: list[str]
    defaults: Values
    folds: list[str]
    confirm: str
    cut_s: int

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
    as_of_s = min(int(as_of.timestamp()), parsed.counts["last_s"] + 1)
    instants = inner_instants(reviews, as_of_s, base.encode, config.cuts)
    everybody: EncodeConfig = replace(base.encode, min_user_interactions=1, min_item_interactions=1)
    folds = [
        encode_interactions(workspace, parsed, datetime.fromtimestamp(instant, UTC), everybody).artifact
        for instant in instants
    ]
    counts = folds[-1].counts
    names = chosen(search, bool(counts["verified"] and counts["unverified"]))
    for fold in folds:
        if fold.counts["last_s"] >= instants[-1]:
            raise DataError(f"{fold.uri}: knows reviews at or after the cut {instants[-1]}")
    log.info("Searching %s over %d points in time, confirming at %d", ", ".join(names), config.cuts, instants[-1])
    earlier = [fold.uri for fold in folds[:-1]]
    return Plan(names, values_of(base, names), earlier[::-1], folds[-1].uri, instants[-1])


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
    best = best_of(results)
    theirs = [recall_of(workspace, uri) for uri in best.artifacts] if best else []
    own: list[Floats] = []
    judged: list[Artifact] = []
    pruned, started = False, time.monotonic()
    for uri in plan.folds:
        judged.append(judge_at(workspace, workspace.artifacts.open(uri), own_config))
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
        float(np.concatenate(own).mean()),
        float(np.mean([row.counts["coverage"] for row in judged])),
        pruned,
        time.monotonic() - started,
        [row.uri for row in judged],
    )
    log.info("Trial %d: %.4f, coverage %.3f%s", number, result.objective, result.coverage, " (stopped early)" * pruned)
    log.info("  %s", told(values))
    return result


def judge_at(workspace: Workspace, fold: Artifact, config: RetrainConfig) -> Artifact:
    """One configuration on one fold: recall.npy, one value a judged user. Factors are not kept."""

    def make(directory: Path) -> dict[str, Any]:
        judged = judge_configuration(EncodedFold.load(workspace.artifacts.path(fold)), config)
        np.save(directory / "recall.npy", judged.recall, allow_pickle=False)
        return {"recall": float(judged.recall.mean()), "coverage": judged.coverage, "power": judged.power}

    parts = {name: asdict(getattr(config, name)) for name in ("encode", "train", "prior", "evaluate")}
    return run_once(workspace, "tune_trial", 1, parts, {"fold": fold.digest}, make).artifact


def recall_of(workspace: Workspace, uri: str) -> Floats:
    """Recall@K of each judged user that `judge_at` kept, float64."""
    path = workspace.artifacts.path(workspace.artifacts.open(uri))
    recall: Floats = np.load(path / "recall.npy", allow_pickle=False)
    return recall
