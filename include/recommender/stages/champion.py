"""The champion as a contestant: as it was published where it has not seen the holdout, else its configuration anew."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from ..config import PriorConfig, RetrainConfig
from ..data.encoding import EncodedFold
from ..data.interactions import ITEMS, USERS, load_ids
from ..evaluation.champion import Champion, Histories, rows_in
from ..registry.bundle import Manifest, ModelPart, prior_of
from ..registry.channels import ChannelState
from ..storage.artifacts import Artifact
from .fit import Fitted, as_learned, fit_popularity, load_als, load_prior, prior_identity, train_als
from .prepare import encode_interactions
from .warm import bundle_part
from .workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """Whether and how the champion is compared.

    how : "none" (no champion, or nothing to compare), "published" (its judged factors), "refitted" (its configuration,
        fitted on this run's train part)
    inputs : what the comparison depends on besides the candidate, name -> digest or id
    same : whether the champion is the candidate itself
    """

    how: str
    champion_id: str | None
    note: str
    inputs: dict[str, str]
    same: bool = False


def compare_with(
    workspace: Workspace, fitted: Fitted, state: ChannelState | None, config: RetrainConfig
) -> tuple[Comparison, RetrainConfig]:
    """How the champion may be compared on this fold, and its configuration."""
    if state is None:
        return Comparison("none", None, "none yet", {}), config
    name = state.model_id
    manifest = workspace.registry.manifest(name)
    theirs = their_config(manifest, config)
    if is_candidate(manifest.identity, fitted, config):
        return Comparison("none", name, f"{name} is this very candidate", {}, same=True), theirs
    if manifest.cut_s <= fitted.encoded.counts["cut_s"]:
        note = f"{name}: its judged factors, which were trained before this cut"
        return Comparison("published", name, note, {"champion": name}), theirs
    if (theirs.encode, theirs.train, theirs.prior) == (config.encode, config.train, config.prior):
        note = f"{name} has seen this holdout, and its configuration is this run's: there is nothing to compare"
        return Comparison("none", name, note, {}), theirs
    note = f"{name} has seen this holdout: its configuration was fitted anew on this run's train part"
    return Comparison("refitted", name, note, {"champion": name, "how": "refitted"}), theirs


def their_config(manifest: Manifest, config: RetrainConfig) -> RetrainConfig:
    """The configuration of a version, on the split of this run; how its own gate decided is none of it."""
    theirs = RetrainConfig.from_dict(manifest.config, f"The manifest of {manifest.model_id}")
    theirs = replace(theirs, train=replace(theirs.train, warm_start=config.train.warm_start))
    return replace(theirs, encode=replace(theirs.encode, holdout_fraction=config.encode.holdout_fraction))


def is_candidate(identity: Mapping[str, Any], fitted: Fitted, config: RetrainConfig) -> bool:
    """Whether a version is what this run has fitted."""
    theirs = (identity["judged"], identity["judged_prior"])
    return theirs == (fitted.trained.digest, prior_identity(fitted.popularity, config.prior))


def contestant(
    workspace: Workspace,
    parsed: Artifact,
    fitted: Fitted,
    as_of: datetime,
    comparison: Comparison,
    theirs: RetrainConfig,
) -> Champion:
    """The champion over this fold's users and items; users it does not know are folded in by its own configuration."""
    ids = workspace.artifacts.path(parsed)
    all_users, all_items = load_ids(ids / USERS), load_ids(ids / ITEMS)
    fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
    encoded = encode_interactions(workspace, parsed, as_of, theirs.encode).artifact
    their_fold = EncodedFold.load(workspace.artifacts.path(encoded))
    if comparison.how == "published":
        name = str(comparison.champion_id)
        part, prior = bundle_part(workspace, name, "judged"), prior_of(workspace.registry.manifest(name))
    else:
        part, prior = _refitted(workspace, parsed, encoded, their_fold, all_users, all_items, theirs)
    known = Histories(
        rows_in(their_fold.matrix, their_fold.user_codes, fold.user_codes), all_items.take(their_fold.item_codes)
    )
    users, items = all_users.take(fold.user_codes), all_items.take(fold.item_codes)
    return Champion.align(part, users, items, known, replace(theirs, prior=prior), fold.holdout_rows)


def _refitted(
    workspace: Workspace,
    parsed: Artifact,
    encoded: Artifact,
    fold: EncodedFold,
    users: pa.LargeStringArray,
    items: pa.LargeStringArray,
    theirs: RetrainConfig,
) -> tuple[ModelPart, PriorConfig]:
    trained = train_als(workspace, parsed, encoded, theirs.train).artifact
    popularity = fit_popularity(workspace, encoded, theirs).artifact
    ids = users.take(fold.user_codes), items.take(fold.item_codes)
    part = ModelPart(load_als(workspace, trained), *ids, load_prior(workspace, popularity))
    return part, as_learned(theirs.prior, popularity)
