"""Warm start: factors to begin with, joined by ids, from a training that ended before this one's cut."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..config import TrainConfig
from ..data.encoding import EncodedFold
from ..data.ids import rows_of
from ..data.interactions import ITEMS, USERS, load_ids
from ..errors import DataError
from ..models.als import Als, Factors, initial_factors
from ..registry.bundle import ModelPart
from ..storage.arrays import load_array
from ..storage.artifacts import Artifact
from ..storage.cache import entry_path, make_entry, used
from .workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """Where factors come from: `source` identifies them, `load` reads them."""

    source: str
    load: Callable[[], ModelPart]


def candidate_start(workspace: Workspace, encoded: Artifact, channel: str, config: TrainConfig) -> Start | None:
    """The champion's factors, where their training ended before this fold's cut: no leak into the holdout."""
    state = workspace.registry.channels.read(channel) if config.warm_start else None
    if state is None:
        return None
    manifest, cut_s = workspace.registry.manifest(state.model_id), encoded.counts["cut_s"]
    if manifest.config["train"]["factors"] != config.factors:
        log.info("Cold start: %s has another number of factors", state.model_id)
        return None
    # Strictly before: a run over the very same fold starts cold, and makes the same bytes again.
    ends = {"published": manifest.published_cut_s, "judged": manifest.cut_s}
    part = next((name for name, end in ends.items() if end < cut_s), None)
    if part is None:
        log.info("Cold start: the factors of %s were trained beyond this cut", state.model_id)
        return None
    return Start(f"{state.model_id}/{part}", lambda: bundle_part(workspace, state.model_id, part))


def bundle_part(workspace: Workspace, model_id: str, part: str) -> ModelPart:
    """Factors of a published version, verified: part "judged" or "published"."""
    try:
        directory = entry_path(workspace.cache, "models", model_id)
    except ValueError as error:
        raise DataError(f"{workspace.root.uri('models/')}: {error}. Point the channel to another version.") from error
    make_entry(directory)
    workspace.registry.fetch(model_id, directory)
    used(directory)
    return ModelPart.load(directory, part)


def refit_start(workspace: Workspace, parsed: Artifact, encoded: Artifact, trained: Artifact) -> Start:
    """This run's own judged factors: their training ended before its cut, and so before as_of."""

    def load() -> ModelPart:
        users, items = _ids(workspace, parsed, EncodedFold.load(workspace.artifacts.path(encoded)))
        path = workspace.artifacts.path(trained)
        shapes = {"user": (len(users), None), "item": (len(items), None)}
        factors = (load_array(path / f"{side}_factors.npy", np.float32, shape) for side, shape in shapes.items())
        return ModelPart(Als(*factors), users, items, np.zeros(len(items)))

    return Start(trained.digest, load)


def _ids(workspace: Workspace, parsed: Artifact, fold: EncodedFold) -> tuple[pa.LargeStringArray, pa.LargeStringArray]:
    path = workspace.artifacts.path(parsed)
    return load_ids(path / USERS).take(fold.user_codes), load_ids(path / ITEMS).take(fold.item_codes)


def warm_factors(
    workspace: Workspace, parsed: Artifact, fold: EncodedFold, start: Start, config: TrainConfig
) -> tuple[Als, dict[str, Any]]:
    """Factors in the fold's rows, of known ids from the start, of others random; and how many were known."""
    users, items = _ids(workspace, parsed, fold)
    factors, n_users, n_items = joined_factors(start.load(), users, items, config)
    log.info("Warm start from %s: %s users, %s items", start.source, f"{n_users:,}", f"{n_items:,}")
    return factors, {"start": start.source, "warm_users": n_users, "warm_items": n_items}


def joined_factors(
    part: ModelPart, user_ids: pa.LargeStringArray, item_ids: pa.LargeStringArray, config: TrainConfig
) -> tuple[Als, int, int]:
    """Factors of the given users and items, random where the part has none; and how many of each it had."""
    cold = initial_factors((len(user_ids), len(item_ids)), config)
    user_factors, n_users = _joined(part.als.user_factors, rows_of(user_ids, part.user_ids), cold.user_factors)
    item_factors, n_items = _joined(part.als.item_factors, rows_of(item_ids, part.item_ids), cold.item_factors)
    return Als(user_factors, item_factors), n_users, n_items


def _joined(known: Factors, rows: np.ndarray[Any, Any], cold: Factors) -> tuple[Factors, int]:
    joined = cold.copy()
    joined[rows >= 0] = known[rows[rows >= 0]]
    return joined, int((rows >= 0).sum())
