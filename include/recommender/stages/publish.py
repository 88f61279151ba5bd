"""Publishing: the bundle of a judged and refitted model."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..data.interactions import ITEMS, USERS, load_ids
from ..errors import GateRejected
from ..registry.bundle import ModelPart, describe, model_id
from ..registry.provenance import code_version, library_versions
from ..registry.seen import Seen
from ..reporting.card import render_card
from ..storage.artifacts import Artifact
from .fit import Fitted, as_learned, load_factors, load_prior, prior_identity
from .judge import read_judged, read_verdict
from .workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Made:
    """Everything that one run made on the way to its bundle."""

    resolved: Artifact
    downloaded: Artifact
    parsed: Artifact
    judged: Fitted
    baselines: Artifact
    evaluated: Artifact
    gated: Artifact
    published: Fitted

    def uris(self) -> dict[str, str]:
        """Stage -> URI of its artifact."""
        rows = [self.resolved, self.downloaded, self.parsed, *_artifacts(self.judged)]
        rows += [self.baselines, self.evaluated, self.gated]
        again = {f"refit/{row.stage}": row.uri for row in _artifacts(self.published)}
        return {row.stage: row.uri for row in rows} | again

    def identity(self, config: RetrainConfig) -> dict[str, Any]:
        """What the model is: two runs that agree here made the same model."""
        return {
            "ids": self.parsed.digest,
            "judged_fold": self.judged.encoded.digest,
            "judged": self.judged.trained.digest,
            "judged_prior": prior_identity(self.judged.prior, config.prior),
            "published_fold": self.published.encoded.digest,
            "published": self.published.trained.digest,
            "published_prior": prior_identity(self.published.prior, config.prior),
        }


def _artifacts(fitted: Fitted) -> list[Artifact]:
    return [fitted.encoded, fitted.trained, fitted.prior]


@dataclass(frozen=True)
class Published:
    """A model version in the registry; `fresh` is False when an earlier run had published it.

    known_until : ISO 8601, the instant up to which it knows everything: follows from its data, whoever published it
    """

    model_id: str
    uri: str
    known_until: str
    verdict: str
    fresh: bool


def upload_model(
    workspace: Workspace, made: Made, as_of: datetime, run: str, config: RetrainConfig, tuned: str | None = None
) -> Published:
    """Write the bundle, create-only, manifest last.

    Raises
    ------
    GateRejected
        The verdict is not PROMOTE and no promotion was forced.
    """
    verdict = read_verdict(workspace, made.gated)
    if verdict["decision"] != "PROMOTE" and not verdict["forced"]:
        raise GateRejected(f"{verdict['decision']}: nothing is published")
    identity = made.identity(config)
    name = model_id(made.published.encoded.counts["last_s"], identity)
    about = {
        "model_id": name,
        "as_of": as_of.isoformat(),
        "snapshot": made.resolved.counts["snapshot"],
        "cut_s": made.judged.encoded.counts["cut_s"],
        "reviews": made.downloaded.digest,
        "last_s": made.parsed.counts["newest_s"],
        "published_cut_s": made.published.encoded.counts["cut_s"],
        "config": config.as_dict(),
        "prior": asdict(as_learned(config.prior, made.judged.prior)),
        "metrics": {row: body["means"] for row, body in read_judged(workspace, made.evaluated).items()},
        "verdict": verdict,
        "champion": made.evaluated.counts.get("champion"),
        "identity": identity,
        "lineage": made.uris(),
        "tuned": tuned,
        "run": run,
        "code_version": code_version(),
        "libraries": library_versions(),
    }
    with workspace.artifacts.workdir() as directory:
        _write_bundle(workspace, made, directory, about)
        manifest = describe(directory, about)
        fresh = workspace.registry.publish(directory, manifest)
    uri = workspace.root.uri(f"models/{name}")
    log.info("%s %s", "Published" if fresh else "Already published:", uri)
    return Published(name, uri, manifest.known_until.isoformat(), manifest.decision, fresh)


def _write_bundle(workspace: Workspace, made: Made, directory: Path, about: Mapping[str, Any]) -> None:
    _save_part(workspace, made.parsed, made.judged, directory, "judged")
    fold = _save_part(workspace, made.parsed, made.published, directory, "published")
    users = load_ids(workspace.artifacts.path(made.parsed) / USERS).take(fold.user_codes)
    Seen.of(fold, users).save(directory)
    gated = workspace.artifacts.path(made.gated)
    shutil.copyfile(gated / "verdict.json", directory / "verdict.json")
    (directory / "fold.json").write_text(
        json.dumps({"judged": made.judged.encoded.counts, "published": fold.stats}, indent=1, sort_keys=True)
    )
    (directory / "MODEL_CARD.md").write_text(
        render_card(about, read_judged(workspace, made.evaluated), made.judged.encoded.counts, fold.stats)
    )


def _save_part(workspace: Workspace, parsed: Artifact, fitted: Fitted, directory: Path, part: str) -> EncodedFold:
    fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
    items = load_ids(workspace.artifacts.path(parsed) / ITEMS).take(fold.item_codes)
    factors, prior = load_factors(workspace, fitted.trained), load_prior(workspace, fitted.prior)
    ModelPart(factors, items, prior).save(directory, part)
    return fold
