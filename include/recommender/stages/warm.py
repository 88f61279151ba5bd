"""Warm start: initial item factors, joined by ids, from a training that ended before this fold's split time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..config import TrainConfig
from ..data.counts import FoldCounts
from ..data.encoding import EncodedFold
from ..data.reviews import ITEMS, load_vocabulary
from ..ids import Vocabulary
from ..models.als.training import initial_factors
from ..models.whitening import Factors
from ..registry.bundle import ModelPart, served_config
from ..registry.copies import local_copy
from ..storage.arrays import load_array
from ..storage.artifacts import Artifact
from .workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ItemFactors:
    """Item factors, float32, shape (n_items, n_factors), and the items of their rows."""

    factors: Factors
    items: Vocabulary


@dataclass(frozen=True)
class Start:
    """The source of initial item factors: `source` identifies them, `load` reads them."""

    source: str
    load: Callable[[], ItemFactors]


def candidate_start(workspace: Workspace, encoded: Artifact, channel: str, config: TrainConfig) -> Start | None:
    """The champion's item factors, if their training ended before this fold's split time: no leak into the holdout."""
    state = workspace.registry.channels.read(channel) if config.warm_start else None
    if state is None:
        return None
    manifest, split_s = workspace.registry.manifest(state.model_id), encoded.counted(FoldCounts).split_s
    if manifest.choice.factors != config.factors:
        log.info("Cold start: %s has another number of factors", state.model_id)
        return None
    # Strictly before: a run over the same fold starts cold, and makes the same bytes.
    ends = {"published": manifest.published_split_s, "judged": manifest.split_s}
    part = next((name for name, end in ends.items() if end < split_s), None)
    if part is None:
        log.info("Cold start: the factors of %s were trained beyond this split time", state.model_id)
        return None

    def load() -> ItemFactors:
        found = bundle_part(workspace, state.model_id, part)
        return ItemFactors(found.item_factors, found.items)

    return Start(f"{state.model_id}/{part}", load)


def bundle_part(workspace: Workspace, model_id: str, part: str) -> ModelPart:
    """Load the verified item side of a published version: part "judged" or "published"."""
    directory = local_copy(workspace.registry, model_id, workspace.cache)
    return ModelPart.load(directory, part, served_config(workspace.registry.manifest(model_id)))


def refit_start(workspace: Workspace, parsed: Artifact, encoded: Artifact, trained: Artifact) -> Start:
    """This run's judged factors: their training ended before its split time, and so before as_of."""

    def load() -> ItemFactors:
        items = _items(workspace, parsed, EncodedFold.load(workspace.artifacts.path(encoded)))
        path = workspace.artifacts.path(trained) / "item_factors.npy"
        return ItemFactors(load_array(path, np.float32, (len(items), None)), items)

    return Start(trained.digest, load)


def _items(workspace: Workspace, parsed: Artifact, fold: EncodedFold) -> Vocabulary:
    return load_vocabulary(workspace.artifacts.path(parsed) / ITEMS).take(fold.item_codes)


@dataclass(frozen=True)
class JoinedFactors:
    """Initial item factors, float32, shape (n_items, n_factors), random for unknown items; the number of known ones."""

    factors: Factors
    n_known: int


def warm_factors(
    workspace: Workspace, parsed: Artifact, fold: EncodedFold, start: Start, config: TrainConfig
) -> JoinedFactors:
    """Initial item factors in the fold's columns."""
    joined = joined_factors(start.load(), _items(workspace, parsed, fold), config)
    log.info("Warm start from %s: %s items", start.source, f"{joined.n_known:,}")
    return joined


def joined_factors(known: ItemFactors, items: Vocabulary, config: TrainConfig) -> JoinedFactors:
    """Initial factors of the given items."""
    joined, rows = initial_factors(len(items), config), known.items.rows(items.ids)
    joined[rows >= 0] = known.factors[rows[rows >= 0]]
    return JoinedFactors(joined, int((rows >= 0).sum()))
