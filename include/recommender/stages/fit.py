"""Fit ALS, popularity and the item prior on the train part, and again on everything before as_of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from ..config import EncodeConfig, PopularityConfig, PriorConfig, RetrainConfig, TrainConfig
from ..data.encoding import EncodedFold
from ..evaluation.fitting import fold_popularity
from ..evaluation.learn_prior import learn_prior as learn_prior_of
from ..evaluation.outcomes import PopularityCounts, PriorCounts, TrainingCounts
from ..models.als.training import fit_als
from ..models.popularity import Popularity
from ..models.popularity import fit_popularity as fit_all_popularity
from ..models.prior import ItemPopularity, PriorAls
from ..models.scoring import model_of
from ..models.whitening import Factors
from ..registry.code import code_of
from ..storage.arrays import check_within, load_array
from ..storage.artifacts import Artifact
from ..storage.documents import to_json
from .prepare import encode_interactions
from .warm import Start, refit_start, warm_factors
from .workspace import Outcome, Stage, Workspace, run_once

FACTORS, PRIOR, LEARNED = "item_factors.npy", "prior.npy", "prior.json"


@dataclass(frozen=True)
class Fitted:
    """The artifacts of one model: its fold, its item factors and its prior."""

    encoded: Artifact
    trained: Artifact
    prior: Artifact


def train_als(
    workspace: Workspace, parsed: Artifact, encoded: Artifact, config: TrainConfig, start: Start | None = None
) -> Outcome:
    """Train item factors on the train part: item_factors.npy, loss.json."""

    def make(directory: Path) -> TrainingCounts:
        fold = EncodedFold.load(workspace.artifacts.path(encoded))
        warm = warm_factors(workspace, parsed, fold, start=start, config=config) if start else None
        factors, curve = fit_als(fold.matrix, config, start=warm.factors if warm else None)
        np.save(directory / FACTORS, factors, allow_pickle=False)
        (directory / "loss.json").write_text(json.dumps(curve.loss))
        return TrainingCounts(
            start=start.source if start else "cold",
            warm_items=warm.n_known if warm else 0,
            iterations=len(curve.loss),
            loss=curve.loss[-1],
            seconds_per_iteration=curve.seconds,
        )

    inputs = {"fold": encoded.digest} | ({"start": start.source} if start else {})
    return run_once(workspace, Stage("train_als", code_of(__name__)), config=asdict(config), inputs=inputs, make=make)


def load_factors(workspace: Workspace, trained: Artifact) -> Factors:
    """Load the item factors of `train_als`, float32, shape (n_items, n_factors), memory-mapped."""
    path = workspace.artifacts.path(trained) / FACTORS
    factors: Factors = load_array(path, np.float32, (None, None), mmap_mode="r")
    return factors


def fit_popularity(workspace: Workspace, encoded: Artifact, config: PopularityConfig) -> Outcome:
    """Count the popularity baselines of the train part: `<name>.counts.npy` and `<name>.order.npy` of each."""

    def make(directory: Path) -> PopularityCounts:
        fold = EncodedFold.load(workspace.artifacts.path(encoded))
        fitted = fit_all_popularity(fold.item_interactions, config)
        for name, model in fitted.items():
            np.save(directory / f"{name}.counts.npy", model.counts, allow_pickle=False)
            np.save(directory / f"{name}.order.npy", model.order, allow_pickle=False)
        return PopularityCounts(sorted(fitted))

    return run_once(
        workspace,
        Stage("fit_popularity", code_of(__name__)),
        config=asdict(config),
        inputs={"fold": encoded.digest},
        make=make,
    )


def learn_prior(workspace: Workspace, encoded: Artifact, config: RetrainConfig) -> Outcome:
    """Learn the item prior: prior.npy, prior.json."""

    def make(directory: Path) -> PriorCounts:
        fold = EncodedFold.load(workspace.artifacts.path(encoded))
        learned = learn_prior_of(fold, config)
        np.save(directory / PRIOR, fold_popularity(fold, learned, config), allow_pickle=False)
        (directory / LEARNED).write_text(to_json(learned).decode())
        return PriorCounts(learned)

    settings: dict[str, object] = {"prior": asdict(config.prior)}
    if config.prior.fit:
        settings |= {"train": asdict(config.train), "encode": asdict(config.encode)}
        settings |= {"top_k": config.evaluate.top_k, "sample_seed": config.evaluate.seed}
    return run_once(
        workspace, Stage("learn_prior", code_of(__name__)), config=settings, inputs={"fold": encoded.digest}, make=make
    )


def load_popularity(workspace: Workspace, fitted: Artifact) -> dict[str, Popularity]:
    """Load the rankings of `fit_popularity`, by name."""
    path = workspace.artifacts.path(fitted)
    return {name: _ranking(path, name) for name in fitted.counted(PopularityCounts).names}


def _ranking(directory: Path, name: str) -> Popularity:
    counts = load_array(directory / f"{name}.counts.npy", np.float64, (None,))
    path = directory / f"{name}.order.npy"
    order = load_array(path, np.int32, (len(counts),))
    check_within(path, order, 0, len(counts))
    return Popularity(counts, order)


def load_prior(workspace: Workspace, learned: Artifact) -> ItemPopularity:
    """Load the item prior, decayed popularity, float64, shape (n_items,)."""
    prior: ItemPopularity = load_array(workspace.artifacts.path(learned) / PRIOR, np.float64, (None,))
    return prior


def as_learned(config: PriorConfig, learned: Artifact) -> PriorConfig:
    """The prior's configuration with the values of `learn_prior`, fixed."""
    return learned.counted(PriorCounts).prior.applied(config)


def prior_identity(learned: Artifact, config: PriorConfig) -> dict[str, str | float]:
    """The identity of a model's item prior, without the evidence for it and without the baselines."""
    fixed = as_learned(config, learned)
    return {"popularity": learned.entry(PRIOR).sha256, "power": fixed.power, "short_history": fixed.short_history}


def load_model(workspace: Workspace, fitted: Fitted, config: RetrainConfig) -> PriorAls:
    """Load the model that is judged and served: the item factors with the item prior."""
    factors, prior = load_factors(workspace, fitted.trained), load_prior(workspace, fitted.prior)
    return model_of(factors, prior, config.train, as_learned(config.prior, fitted.prior))


def refit(
    workspace: Workspace, parsed: Artifact, judged: Fitted, as_of: datetime, config: RetrainConfig
) -> Mapping[str, Outcome]:
    """Fit the same configuration on everything before as_of, so that the published model knows the newest data.

    The item prior keeps the power and the half-life with which the candidate was judged.
    """
    everything: EncodeConfig = replace(config.encode, holdout_fraction=0.0)
    encoded = encode_interactions(workspace, parsed, as_of, everything)
    start = refit_start(workspace, parsed, judged.encoded, judged.trained) if config.train.warm_start else None
    fixed = replace(config, prior=as_learned(config.prior, judged.prior))
    return {
        "encoded": encoded,
        "trained": train_als(workspace, parsed, encoded.artifact, config=config.train, start=start),
        "prior": learn_prior(workspace, encoded.artifact, fixed),
    }
