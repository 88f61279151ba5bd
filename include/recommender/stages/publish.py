"""Publishing: the bundle of a judged and refitted model."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..config import RetrainConfig
from ..data.counts import FoldCounts, ParseCounts, SnapshotCounts
from ..data.encoding import EncodedFold
from ..data.reviews import ITEMS, USERS, load_vocabulary
from ..errors import GateRejected
from ..evaluation.judgement import metrics_of
from ..evaluation.outcomes import ChoiceCounts, EvaluationCounts
from ..registry.bundle import ModelPart, describe, model_id
from ..registry.listing import FOLD, FoldFile
from ..registry.provenance import code_version, library_versions
from ..registry.seen import Seen
from ..registry.verdict import Verdict
from ..reporting.card import Card, render_card
from ..storage.artifacts import Artifact
from ..storage.documents import Decision, to_json
from .fit import Fitted, load_factors, load_own_neighbours, load_prior, model_identity
from .judge import read_judged, read_verdict
from .workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunArtifacts:
    """The artifacts of a run from which its bundle is built."""

    resolved: Artifact
    downloaded: Artifact
    parsed: Artifact
    judged: Fitted
    baselines: Artifact
    rivals: Artifact
    evaluated: Artifact
    gated: Artifact
    published: Fitted

    def uris(self) -> dict[str, str]:
        """Stage -> URI of its artifact."""
        rows = [self.resolved, self.downloaded, self.parsed, *self.judged.artifacts]
        rows += [self.baselines, self.rivals, self.evaluated, self.gated]
        again = {f"refit/{row.stage}": row.uri for row in self.published.artifacts}
        return {row.stage: row.uri for row in rows} | again

    def identity(self, config: RetrainConfig) -> dict[str, object]:
        """The identity of the model: two runs with the same identity made the same model."""
        return {
            "ids": self.parsed.digest,
            "judged_fold": self.judged.encoded.digest,
            "judged": model_identity(self.judged, config),
            "published_fold": self.published.encoded.digest,
            "published": model_identity(self.published, config),
        }


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model version in the registry; `fresh` is False if an earlier run had published it.

    known_until : ISO 8601, the instant up to which it knows everything, by its data
    """

    model_id: str
    uri: str
    known_until: str
    verdict: Decision
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The artifacts to publish, and the facts of the run for the manifest.

    tuned : id of the tuned configuration; None without one
    """

    artifacts: RunArtifacts
    as_of: datetime
    run: str
    config: RetrainConfig
    tuned: str | None = None


def upload_model(workspace: Workspace, publication: Publication) -> Published:
    """Write the bundle, create-only, manifest last.

    Raises
    ------
    GateRejected
        The verdict is not PROMOTE and no promotion was forced.
    """
    verdict = read_verdict(workspace, publication.artifacts.gated)
    if not verdict.publishes:
        raise GateRejected(f"{verdict.decision}: nothing is published")
    card = _card(workspace, publication, verdict)
    with workspace.artifacts.workdir() as directory:
        _write_bundle(workspace, publication, directory)
        (directory / "MODEL_CARD.md").write_text(render_card(card))
        (directory / FOLD).write_bytes(to_json(FoldFile(card.judged, card.published)))
        manifest = describe(directory, card.about)
        fresh = workspace.registry.publish(directory, manifest)
    uri = workspace.root.uri(f"models/{manifest.model_id}")
    log.info("%s %s", "Published" if fresh else "Already published:", uri)
    return Published(
        model_id=manifest.model_id,
        uri=uri,
        known_until=manifest.known_until.isoformat(),
        verdict=manifest.decision,
        fresh=fresh,
    )


def _card(workspace: Workspace, publication: Publication, verdict: Verdict) -> Card:
    """The facts of the version, for its manifest and its card."""
    artifacts, config = publication.artifacts, publication.config
    judged, published = (each.encoded.counted(FoldCounts) for each in (artifacts.judged, artifacts.published))
    metrics = metrics_of(read_judged(workspace, artifacts.evaluated))
    champion = artifacts.evaluated.counted(EvaluationCounts).champion
    identity = artifacts.identity(config)
    chosen = artifacts.judged.chosen.counted(ChoiceCounts).chosen
    about = {
        "model_id": model_id(published.last_s, identity),
        "as_of": publication.as_of.isoformat(),
        "snapshot": artifacts.resolved.counted(SnapshotCounts).snapshot,
        "split_s": judged.split_s,
        "reviews": artifacts.downloaded.digest,
        "last_s": artifacts.parsed.counted(ParseCounts).newest_s,
        "published_split_s": published.split_s,
        "config": config.as_dict(),
        "choice": chosen.choice,
        "metrics": metrics,
        "verdict": verdict,
        "champion": champion,
        "identity": identity,
        "lineage": artifacts.uris(),
        "tuned": publication.tuned,
        "run": publication.run,
        "code_version": code_version(),
        "libraries": library_versions(),
    }
    return Card(
        about=about,
        metrics=metrics,
        verdict=verdict,
        champion=champion,
        judged=judged,
        published=published,
        chosen=chosen,
    )


def _write_bundle(workspace: Workspace, publication: Publication, directory: Path) -> None:
    artifacts = publication.artifacts
    _save_part(workspace, publication, artifacts.judged, directory=directory, part="judged")
    fold = _save_part(workspace, publication, artifacts.published, directory=directory, part="published")
    users = load_vocabulary(workspace.artifacts.path(artifacts.parsed) / USERS).take(fold.user_codes)
    Seen.of(fold, users).save(directory)
    gated = workspace.artifacts.path(artifacts.gated)
    shutil.copyfile(gated / "verdict.json", directory / "verdict.json")


def _save_part(
    workspace: Workspace, publication: Publication, fitted: Fitted, directory: Path, part: str
) -> EncodedFold:
    fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
    items = load_vocabulary(workspace.artifacts.path(publication.artifacts.parsed) / ITEMS).take(fold.item_codes)
    factors, prior = load_factors(workspace, fitted.trained), load_prior(workspace, fitted.chosen)
    similar = load_own_neighbours(workspace, fitted, publication.config)
    ModelPart(factors, items, prior, similar).save(directory, part)
    return fold
