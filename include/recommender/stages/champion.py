"""The champion in the comparison: as published if it has not seen the holdout, else its configuration refitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..data.reviews import ITEMS, load_vocabulary
from ..evaluation.alignment import AlignedModel, aligned, rows_in
from ..models.protocol import Rows
from ..registry.bundle import Manifest, config_of, served_config
from ..registry.channels import ChannelState
from ..registry.verdict import How
from ..storage.artifacts import Artifact
from .candidate import Candidate
from .fit import Fitted, fit_parts, fixed_config, load_model, model_identity
from .prepare import encode_interactions
from .warm import bundle_part
from .workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReferenceComparison:
    """Whether and how a version of the channel is compared.

    how : "none" (no champion, or nothing to compare), "published" (its judged factors), "refitted" (its configuration,
        fitted on this run's train part)
    inputs : other inputs of the comparison than the candidate, name -> digest or id
    same : whether the champion is the candidate itself
    """

    how: How
    champion_id: str | None
    note: str
    inputs: dict[str, str]
    same: bool = False


def compare_with(candidate: Candidate, state: ChannelState | None) -> tuple[ReferenceComparison, RetrainConfig]:
    """Decide how the champion is compared on the candidate's fold; return that and its configuration."""
    config = candidate.config
    if state is None:
        return ReferenceComparison(how="none", champion_id=None, note="none yet", inputs={}), config
    name = state.model_id
    manifest = candidate.workspace.registry.manifest(name)
    theirs = their_config(manifest, config)
    if is_candidate(manifest.identity, candidate):
        return ReferenceComparison(
            how="none", champion_id=name, note=f"{name} is this candidate", inputs={}, same=True
        ), theirs
    if manifest.split_s <= candidate.counts.split_s:
        note = f"{name}: its judged factors, which were trained before this split time"
        return ReferenceComparison(how="published", champion_id=name, note=note, inputs={"champion": name}), theirs
    if _fitting(theirs) == _fitting(config):
        note = f"{name} has seen this holdout, and this run has the same configuration: there is nothing to compare"
        return ReferenceComparison(how="none", champion_id=name, note=note, inputs={}), theirs
    note = f"{name} has seen this holdout: its configuration was fitted again on this run's train part"
    return ReferenceComparison(
        how="refitted", champion_id=name, note=note, inputs={"champion": name, "how": "refitted"}
    ), theirs


def _fitting(config: RetrainConfig) -> tuple[object, ...]:
    """All that the choice and the fit of a model depend on, besides its reviews."""
    judged = config.evaluate.top_k, config.evaluate.seed
    return config.encode, config.model, config.train, config.knn, config.prior, judged


def their_config(manifest: Manifest, config: RetrainConfig) -> RetrainConfig:
    """The configuration of a version, with the split of this run."""
    theirs = config_of(manifest)
    theirs = replace(theirs, train=replace(theirs.train, warm_start=config.train.warm_start))
    return replace(theirs, encode=replace(theirs.encode, holdout_fraction=config.encode.holdout_fraction))


def is_candidate(identity: Mapping[str, Any], candidate: Candidate) -> bool:
    """Whether a version is the model that this run has fitted."""
    return bool(identity["judged"] == model_identity(candidate.fitted, candidate.config))


def version_of(
    candidate: Candidate, judged: Rows, comparison: ReferenceComparison, theirs: RetrainConfig
) -> AlignedModel:
    """Align a version with the fold's items, with the judged users' histories by its own configuration.

    Parameters
    ----------
    judged : rows of the candidate's fold
    """
    workspace, parsed, fitted = candidate.workspace, candidate.parsed, candidate.fitted
    all_items = load_vocabulary(workspace.artifacts.path(parsed) / ITEMS)
    fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
    encoded = encode_interactions(workspace, parsed, candidate.as_of, theirs.encode).artifact
    their_fold = EncodedFold.load(workspace.artifacts.path(encoded))
    their_items = all_items.take(their_fold.item_codes)
    if comparison.how == "published":
        name = str(comparison.champion_id)
        part, fixed = bundle_part(workspace, name, "judged"), served_config(workspace.registry.manifest(name))
        model, own_items = part.model(fixed), part.items
    else:
        refitted = _refitted(workspace, parsed, encoded, theirs)
        model, own_items = load_model(workspace, refitted, theirs), their_items
        fixed = fixed_config(refitted.chosen, theirs)
    weighted = their_fold.reweighed(fixed.encode).matrix
    matrix = rows_in(weighted, their_fold.user_codes, fold.user_codes[judged])
    return aligned(
        model, own=own_items, judged=all_items.take(fold.item_codes), matrix=matrix, matrix_items=their_items
    )


def _refitted(workspace: Workspace, parsed: Artifact, encoded: Artifact, theirs: RetrainConfig) -> Fitted:
    outcomes = fit_parts(workspace, parsed, encoded, theirs)
    parts = {name: outcome.artifact for name, outcome in outcomes.items()}
    return Fitted(encoded, parts["chosen"], parts["trained"], parts.get("neighbours"))
