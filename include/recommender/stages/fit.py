"""Choose the model, and fit its parts, the baselines and the rivals; and the parts again on everything before as_of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from ..config import EncodeConfig, KnnConfig, PopularityConfig, RetrainConfig
from ..data.encoding import EncodedFold
from ..evaluation.choose import affordable_factors, chooses, unaffordable_ease
from ..evaluation.choose import choose_model as choose_model_of
from ..evaluation.grid import axes
from ..evaluation.outcomes import ChoiceCounts, NeighbourCounts, PopularityCounts, TrainingCounts
from ..evaluation.rivals import fit_plain_als, unaged
from ..models.als.training import fit_als
from ..models.knn.fitting import fit_similarities
from ..models.knn.similarities import ARRAYS as ARRAYS_OF_KNN
from ..models.knn.similarities import Similarities
from ..models.model import Model
from ..models.popularity import Popularity
from ..models.popularity import fit_popularity as fit_all_popularity
from ..models.prior import ItemPopularity, fit_prior
from ..models.scoring import model_of, needs_similarities
from ..models.whitening import Factors
from ..parameters.of_models import EASE
from ..registry.bundle import SIMILAR, load_similarities
from ..registry.code import code_of
from ..storage.arrays import check_within, load_array
from ..storage.artifacts import Artifact, canonical_hash
from ..storage.documents import to_json
from .prepare import encode_interactions
from .warm import Start, refit_start, warm_factors
from .workspace import Outcome, Stage, Workspace, run_once

FACTORS, PRIOR, CHOSEN = "item_factors.npy", "prior.npy", "chosen.json"
RIVAL = "rival"


@dataclass(frozen=True)
class Fitted:
    """The artifacts of one model: its fold, what was chosen with its item prior, its item factors, its similarities.

    neighbours : None if the family has none
    """

    encoded: Artifact
    chosen: Artifact
    trained: Artifact
    neighbours: Artifact | None

    @property
    def artifacts(self) -> list[Artifact]:
        """Those that there are."""
        found = [self.encoded, self.chosen, self.trained]
        return [*found, self.neighbours] if self.neighbours else found


def choose_model(workspace: Workspace, encoded: Artifact, config: RetrainConfig) -> Outcome:
    """Choose family, similarity, factors, ageing and item prior: chosen.json; prior.npy, the item prior."""

    fold = EncodedFold.load(workspace.artifacts.path(encoded))
    largest, no_ease = affordable_factors(fold, config), unaffordable_ease(fold, config)

    def make(directory: Path) -> ChoiceCounts:
        chosen = choose_model_of(fold, config, largest, no_ease)
        prior = fit_prior(fold.item_interactions, chosen.choice.applied(config).prior)
        np.save(directory / PRIOR, prior, allow_pickle=False)
        (directory / CHOSEN).write_text(to_json(chosen).decode())
        return ChoiceCounts(chosen)

    settings: dict[str, object] = {"prior": asdict(config.prior), "model": asdict(config.model)}
    # What of a choice lies elsewhere.
    settings |= {"factors": config.train.factors, "half_life_days": config.encode.half_life_days}
    settings |= {"knn_similarity": config.knn.similarity}
    if chooses(config):
        # Derived by code outside the stage's identity, and from the machine.
        settings |= {"axes": [*axes(config)], "largest": largest, "no_ease": no_ease}
        settings |= {"train": asdict(config.train), "encode": asdict(config.encode), "knn": asdict(config.knn)}
        settings |= {"top_k": config.evaluate.top_k, "sample_seed": config.evaluate.seed}
    return run_once(
        workspace, Stage("choose_model", code_of(__name__)), config=settings, inputs={"fold": encoded.digest}, make=make
    )


def fixed_config(chosen: Artifact, config: RetrainConfig) -> RetrainConfig:
    """The configuration with what `choose_model` chose, in which nothing is left to choose."""
    return chosen.counted(ChoiceCounts).chosen.choice.applied(config)


def train_als(
    workspace: Workspace, parsed: Artifact, encoded: Artifact, fixed: RetrainConfig, start: Start | None = None
) -> Outcome:
    """Train item factors on the train part: item_factors.npy, loss.json.

    Parameters
    ----------
    fixed : of `fixed_config`
    """

    def make(directory: Path) -> TrainingCounts:
        fold = EncodedFold.load(workspace.artifacts.path(encoded)).reweighed(fixed.encode)
        warm = warm_factors(workspace, parsed, fold, start=start, config=fixed.train) if start else None
        factors, curve = fit_als(fold.matrix, fixed.train, start=warm.factors if warm else None)
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
    settings = {"train": asdict(fixed.train), "half_life_days": fixed.encode.half_life_days}
    return run_once(workspace, Stage("train_als", code_of(__name__)), config=settings, inputs=inputs, make=make)


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


def fit_neighbours(workspace: Workspace, encoded: Artifact, chosen: Artifact, config: RetrainConfig) -> Outcome:
    """Find the nearest neighbours of each item in the train part, for the candidate and for plain item-kNN.

    similar_<array>.npy are those of the candidate, rival_<array>.npy those of item-kNN. There are only the first where
    both have the same, or the candidate has none.
    """
    fixed, plain = fixed_config(chosen, config), config.knn.plain
    return _fit_neighbours(workspace, encoded, fixed.knn if needs_similarities(fixed) else plain, plain)


def _fit_neighbours(
    workspace: Workspace, encoded: Artifact, config: KnnConfig, rival: KnnConfig | None = None
) -> Outcome:
    apart = rival if rival != config else None

    def make(directory: Path) -> NeighbourCounts:
        matrix = EncodedFold.load(workspace.artifacts.path(encoded)).matrix
        similar = fit_similarities(matrix, config)
        _save_similarities(directory, SIMILAR, similar)
        if apart:
            _save_similarities(directory, RIVAL, fit_similarities(matrix, apart))
        return NeighbourCounts(items=similar.n_items, neighbours=len(similar.values), rival=bool(apart))

    settings = _read_by(config) | ({"rival": _read_by(apart)} if apart else {})
    stage = Stage("fit_neighbours", code_of(__name__))
    return run_once(workspace, stage, config=settings, inputs={"fold": encoded.digest}, make=make)


def _read_by(config: KnnConfig) -> dict[str, object]:
    """What a fit reads of a configuration: only EASE has a regularization."""
    read = asdict(config)
    return read if config.similarity == EASE else {name: read[name] for name in read if name != "regularization"}


def _save_similarities(directory: Path, name: str, similar: Similarities) -> None:
    for each in ARRAYS_OF_KNN:
        np.save(directory / f"{name}_{each}.npy", getattr(similar, each), allow_pickle=False)


def fit_rivals(workspace: Workspace, encoded: Artifact, config: RetrainConfig) -> Outcome:
    """Train plain ALS, which the candidate must not lose to: the configured factors, no ageing: item_factors.npy."""

    def make(directory: Path) -> TrainingCounts:
        fold = EncodedFold.load(workspace.artifacts.path(encoded))
        factors, curve = fit_plain_als(fold, config)
        np.save(directory / FACTORS, factors, allow_pickle=False)
        return TrainingCounts(
            start="cold", iterations=len(curve.loss), loss=curve.loss[-1], seconds_per_iteration=curve.seconds
        )

    settings = {"train": asdict(config.train), "encode": asdict(unaged(config.encode))}
    stage = Stage("fit_rivals", code_of(__name__))
    return run_once(workspace, stage, config=settings, inputs={"fold": encoded.digest}, make=make)


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


def load_prior(workspace: Workspace, chosen: Artifact) -> ItemPopularity:
    """Load the item prior, decayed popularity, float64, shape (n_items,)."""
    prior: ItemPopularity = load_array(workspace.artifacts.path(chosen) / PRIOR, np.float64, (None,))
    return prior


def load_neighbours(workspace: Workspace, neighbours: Artifact, *, rival: bool = False) -> Similarities:
    """Load the similarities of `fit_neighbours`, those of the candidate or of its rival."""
    counts = neighbours.counted(NeighbourCounts)
    name = RIVAL if rival and counts.rival else SIMILAR
    return load_similarities(workspace.artifacts.path(neighbours), name, counts.items)


def load_own_neighbours(workspace: Workspace, fitted: Fitted, config: RetrainConfig) -> Similarities | None:
    """Load the similarities of a model; None if its family has none."""
    if not needs_similarities(fixed_config(fitted.chosen, config)) or fitted.neighbours is None:
        return None
    return load_neighbours(workspace, fitted.neighbours)


def model_identity(fitted: Fitted, config: RetrainConfig) -> dict[str, str | float]:
    """The identity of a fitted model, without the evidence for it and without baselines and rivals."""
    fixed = fixed_config(fitted.chosen, config)
    found: dict[str, str | float] = {
        "factors": fitted.trained.digest,
        "family": fixed.model.family,
        "popularity": fitted.chosen.entry(PRIOR).sha256,
        "power": fixed.prior.power,
        "short_history": fixed.prior.short_history,
    }
    if needs_similarities(fixed) and fitted.neighbours is not None:
        # Not the digest of the artifact, which may hold those of the rival too.
        parts = [fitted.neighbours.entry(f"{SIMILAR}_{name}.npy").sha256 for name in ARRAYS_OF_KNN]
        found |= {"similar": canonical_hash(parts), "knn_weight": fixed.model.knn_weight}
    return found


def load_model(workspace: Workspace, fitted: Fitted, config: RetrainConfig) -> Model:
    """Load the model that is judged and served."""
    factors, prior = load_factors(workspace, fitted.trained), load_prior(workspace, fitted.chosen)
    similar = load_own_neighbours(workspace, fitted, config)
    return model_of(factors, similar, prior, fixed_config(fitted.chosen, config))


def fit_parts(
    workspace: Workspace, parsed: Artifact, encoded: Artifact, config: RetrainConfig, start: Start | None = None
) -> Mapping[str, Outcome]:
    """Choose and fit a whole model on a fold, without what its family does not need; by the fields of `Fitted`."""
    chosen = choose_model(workspace, encoded, config)
    fixed = fixed_config(chosen.artifact, config)
    trained = train_als(workspace, parsed, encoded, fixed, start)
    found = {"chosen": chosen, "trained": trained}
    if needs_similarities(fixed):
        found["neighbours"] = _fit_neighbours(workspace, encoded, fixed.knn)
    return found


def refit(
    workspace: Workspace, parsed: Artifact, judged: Fitted, as_of: datetime, config: RetrainConfig
) -> Mapping[str, Outcome]:
    """Fit the same configuration on everything before as_of, so that the published model knows the newest data.

    What was chosen for the candidate is kept.
    """
    everything: EncodeConfig = replace(config.encode, holdout_fraction=0.0)
    encoded = encode_interactions(workspace, parsed, as_of, everything)
    start = refit_start(workspace, parsed, judged.encoded, judged.trained) if config.train.warm_start else None
    fixed = fixed_config(judged.chosen, config)
    return {"encoded": encoded, **fit_parts(workspace, parsed, encoded.artifact, fixed, start)}
