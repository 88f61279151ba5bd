"""Fitting: ALS and popularity, on the train part, and again on everything before as_of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EncodeConfig, PriorConfig, RetrainConfig, TrainConfig
from ..data.encoding import EncodedFold
from ..evaluation.learn_prior import LearnedPrior, learn_prior
from ..models.als import Als, fit_als
from ..models.popularity import Popularity
from ..models.popularity import fit_popularity as fit_all_popularity
from ..models.prior import ItemPrior, PriorAls, Strengths, fit_prior
from ..storage.arrays import check_within, load_array
from ..storage.artifacts import Artifact
from .prepare import encode_interactions
from .warm import Start, refit_start, warm_factors
from .workspace import Outcome, Workspace, run_once

PRIOR, LEARNED = "prior.npy", "prior.json"


@dataclass(frozen=True)
class Fitted:
    """The artifacts of one fit: its fold, factors and popularity."""

    encoded: Artifact
    trained: Artifact
    popularity: Artifact


def train_als(
    workspace: Workspace, parsed: Artifact, encoded: Artifact, config: TrainConfig, start: Start | None = None
) -> Outcome:
    """Factors of the train part: user_factors.npy, item_factors.npy, loss.json."""

    def make(directory: Path) -> dict[str, Any]:
        fold = EncodedFold.load(workspace.artifacts.path(encoded))
        warm, counts = warm_factors(workspace, parsed, fold, start, config) if start else (None, {"start": "cold"})
        als, curve = fit_als(fold.matrix, config, start=warm)
        np.save(directory / "user_factors.npy", als.user_factors, allow_pickle=False)
        np.save(directory / "item_factors.npy", als.item_factors, allow_pickle=False)
        (directory / "loss.json").write_text(json.dumps(curve.loss))
        fitted = {"iterations": len(curve.loss), "loss": curve.loss[-1], "seconds_per_iteration": curve.seconds}
        return counts | fitted

    inputs = {"fold": encoded.digest} | ({"start": start.source} if start else {})
    return run_once(workspace, "train_als", 2, asdict(config), inputs, make)


def load_als(workspace: Workspace, trained: Artifact) -> Als:
    """The factors that `train_als` made, memory-mapped."""
    return read_als(workspace.artifacts.path(trained))


def read_als(directory: Path) -> Als:
    """The factors in a directory, memory-mapped. Raises DataError where they do not fit each other."""
    user = load_array(directory / "user_factors.npy", np.float32, (None, None), mmap_mode="r")
    item = load_array(directory / "item_factors.npy", np.float32, (None, user.shape[1]), mmap_mode="r")
    return Als(user, item)


def fit_popularity(workspace: Workspace, encoded: Artifact, config: RetrainConfig) -> Outcome:
    """Popularity of the train part: the opponents, and the item prior with what was learned of it.

    Files: `<name>.strength.npy` and `<name>.order.npy` of each opponent, prior.npy, prior.json.
    """

    def make(directory: Path) -> dict[str, Any]:
        fold = EncodedFold.load(workspace.artifacts.path(encoded))
        counted = (fold.indices, fold.times, len(fold.item_codes), fold.stats["cut_s"])
        fitted = fit_all_popularity(*counted, config.popularity)
        for name, model in fitted.items():
            np.save(directory / f"{name}.strength.npy", model.strength, allow_pickle=False)
            np.save(directory / f"{name}.order.npy", model.order, allow_pickle=False)
        learned = learn_prior(fold, config)
        np.save(directory / PRIOR, fit_prior(*counted, learned.applied(config.prior)), allow_pickle=False)
        (directory / LEARNED).write_text(json.dumps(learned.as_dict(), indent=1, sort_keys=True))
        return {"names": sorted(fitted), "prior": learned.as_dict()}

    settings: dict[str, Any] = {"popularity": asdict(config.popularity), "prior": asdict(config.prior)}
    if config.prior.fit:
        settings |= {"train": asdict(config.train), "encode": asdict(config.encode)}
        settings |= {"top_k": config.evaluate.top_k, "sample_seed": config.evaluate.seed}
    return run_once(workspace, "fit_popularity", 6, settings, {"fold": encoded.digest}, make)


def load_popularity(workspace: Workspace, fitted: Artifact) -> dict[str, Popularity]:
    """The rankings that `fit_popularity` made, by name."""
    path = workspace.artifacts.path(fitted)
    return {name: _ranking(path, name) for name in fitted.counts["names"]}


def _ranking(directory: Path, name: str) -> Popularity:
    strength = load_array(directory / f"{name}.strength.npy", np.float64, (None,))
    path = directory / f"{name}.order.npy"
    order = load_array(path, np.int32, (len(strength),))
    check_within(path, order, 0, len(strength))
    return Popularity(strength, order)


def load_prior(workspace: Workspace, fitted: Artifact) -> Strengths:
    """The item prior, decayed popularity, float64, shape (n_items,)."""
    prior: Strengths = load_array(workspace.artifacts.path(fitted) / PRIOR, np.float64, (None,))
    return prior


def as_learned(config: PriorConfig, fitted: Artifact) -> PriorConfig:
    """The item prior as `fit_popularity` learned it, fixed."""
    return LearnedPrior(**fitted.counts["prior"]).applied(config)


def prior_identity(fitted: Artifact, config: PriorConfig) -> dict[str, Any]:
    """What the item prior of a model is: neither the evidence for it nor the opponents are part of it."""
    fixed = as_learned(config, fitted)
    return {"strength": fitted.entry(PRIOR).sha256, "power": fixed.power, "short_history": fixed.short_history}


def load_model(workspace: Workspace, fitted: Fitted, config: PriorConfig) -> PriorAls:
    """What is judged and served: the factors with the item prior."""
    fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
    prior = ItemPrior.of(load_prior(workspace, fitted.popularity), as_learned(config, fitted.popularity))
    return PriorAls(load_als(workspace, fitted.trained), prior, fold.history)


def refit(
    workspace: Workspace, parsed: Artifact, judged: Fitted, as_of: datetime, config: RetrainConfig
) -> Mapping[str, Outcome]:
    """The same configuration on everything before as_of: what is published has seen the newest data.

    The item prior keeps the power and the half-life with which the candidate was judged.
    """
    everything: EncodeConfig = replace(config.encode, holdout_fraction=0.0)
    encoded = encode_interactions(workspace, parsed, as_of, everything)
    start = refit_start(workspace, parsed, judged.encoded, judged.trained) if config.train.warm_start else None
    return {
        "encoded": encoded,
        "trained": train_als(workspace, parsed, encoded.artifact, config.train, start),
        "popularity": fit_popularity(
            workspace, encoded.artifact, replace(config, prior=as_learned(config.prior, judged.popularity))
        ),
    }
