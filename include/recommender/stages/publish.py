"""Publishing: the bundle of a judged and refitted model, and the channel that points to it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..config import RetrainConfig
from ..data.encoding import EncodedFold
from ..data.interactions import ITEMS, USERS, load_ids
from ..errors import GateRejected, PreconditionFailed, TransientError
from ..registry.bundle import ModelPart, describe, model_id, save_seen
from ..registry.channels import ChannelState, Kind, Move
from ..registry.moves import moved_now
from ..registry.provenance import code_version, library_versions
from ..registry.registry import is_older
from ..reporting.card import render_card
from ..storage.artifacts import Artifact
from .fit import Fitted, load_als, load_prior, with_power
from .judge import read_judged, read_verdict
from .workspace import Workspace

log = logging.getLogger(__name__)

ROUNDS = 8  # a judgement and a move take two


@dataclass(frozen=True)
class Made:
    """Everything that one run made on the way to its bundle."""

    resolved: Artifact
    downloaded: Artifact
    parsed: Artifact
    judged: Fitted
    evaluated: Artifact
    gated: Artifact
    published: Fitted

    def uris(self) -> dict[str, str]:
        """Stage -> URI of its artifact."""
        rows = [
            self.resolved,
            self.downloaded,
            self.parsed,
            self.judged.encoded,
            self.judged.trained,
            self.judged.popularity,
        ]
        rows += [self.evaluated, self.gated]
        refitted = self.published
        again = {f"refit/{row.stage}": row.uri for row in (refitted.encoded, refitted.trained, refitted.popularity)}
        return {row.stage: row.uri for row in rows} | again

    def identity(self, config: RetrainConfig) -> dict[str, Any]:
        """What the model is: two runs that agree here made the same model."""
        return {
            "ids": self.parsed.digest,
            "judged_fold": self.judged.encoded.digest,
            "judged": self.judged.trained.digest,
            "judged_prior": self.judged.popularity.digest,
            "published_fold": self.published.encoded.digest,
            "published": self.published.trained.digest,
            "published_prior": self.published.popularity.digest,
            "prior_short_history": config.prior.short_history,
        }


@dataclass(frozen=True)
class Published:
    """A model version in the registry; `fresh` is False when an earlier run had published it."""

    model_id: str
    uri: str
    as_of: str
    verdict: str
    fresh: bool


def upload_model(workspace: Workspace, made: Made, as_of: datetime, run: str, config: RetrainConfig) -> Published:
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
        "last_s": made.parsed.counts["last_s"],
        "published_cut_s": made.published.encoded.counts["cut_s"],
        "config": config.as_dict(),
        "prior": asdict(with_power(config.prior, made.judged.popularity)),
        "metrics": {row: body["means"] for row, body in read_judged(workspace, made.evaluated).items()},
        "verdict": verdict,
        "identity": identity,
        "lineage": made.uris(),
        "run": run,
        "code_version": code_version(),
        "libraries": library_versions(),
    }
    with workspace.artifacts.workdir() as directory:
        _write_bundle(workspace, made, directory, about)
        fresh = workspace.registry.publish(name, directory, describe(directory, about))
    uri = workspace.root.uri(f"models/{name}")
    log.info("%s %s", "Published" if fresh else "Already published:", uri)
    # Of a model that an earlier run had published, the registry holds that run's as_of.
    known_as_of = about["as_of"] if fresh else workspace.registry.manifest(name)["as_of"]
    return Published(name, uri, known_as_of, verdict["decision"], fresh)


def _write_bundle(workspace: Workspace, made: Made, directory: Path, about: Mapping[str, Any]) -> None:
    _save_part(workspace, made.parsed, made.judged, directory, "judged")
    fold = _save_part(workspace, made.parsed, made.published, directory, "published")
    save_seen(directory, fold.matrix)
    gated = workspace.artifacts.path(made.gated)
    shutil.copyfile(gated / "verdict.json", directory / "verdict.json")
    (directory / "fold.json").write_text(
        json.dumps({"judged": made.judged.encoded.counts, "published": fold.stats}, indent=1, sort_keys=True)
    )
    (directory / "MODEL_CARD.md").write_text(
        render_card(about, read_judged(workspace, made.evaluated), made.judged.encoded.counts, fold.stats)
    )


def _save_part(workspace: Workspace, parsed: Artifact, fitted: Fitted, directory: Path, part: str) -> EncodedFold:
    ids = workspace.artifacts.path(parsed)
    fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
    users, items = load_ids(ids / USERS).take(fold.user_codes), load_ids(ids / ITEMS).take(fold.item_codes)
    prior = load_prior(workspace, fitted.popularity)
    ModelPart(load_als(workspace, fitted.trained), users, items, prior).save(directory, part)
    return fold


@dataclass(frozen=True)
class Promotion:
    """What became of a channel: whether it moved, and a sentence that says why or why not.

    judged_again : how often the candidate was judged anew, since the channel had moved meanwhile
    """

    moved: bool
    model_id: str
    channel: str
    why: str
    judged_again: int = 0


JudgeAgain = Callable[[], Artifact]


def promote_model(
    workspace: Workspace,
    published: Published,
    channel: str,
    evaluated: Artifact,
    who: str,
    run: str,
    why: str,
    judge_again: JudgeAgain | None = None,
    forced: bool = False,
) -> Promotion:
    """Point a channel to a published version, unless it points to that or to newer knowledge already.

    Where the channel moved since the candidate was judged against its champion, the candidate is judged anew.

    Parameters
    ----------
    judge_again : evaluates against the champion of now, and raises GateRejected where the candidate does not pass
    forced : a person wants this promotion, with a written reason: also of a version that was rolled back

    Raises
    ------
    GateRejected
        The candidate does not pass against the champion of now, or nothing can judge it anew.
    TransientError
        The channel moved again and again.
    """
    judged_again = 0
    for _ in range(ROUNDS):
        state = workspace.registry.channels.read(channel)
        if state is not None and _is_ours(state, published, run):
            workspace.registry.finish(state)
            log.info("%s points to %s: an earlier attempt of this run moved it", channel, published.model_id)
            return Promotion(True, published.model_id, channel, why, judged_again)
        objection = _objection(workspace, published, channel, state, forced)
        if objection:
            log.info("%s stays where it is: %s", channel, objection)
            return Promotion(False, published.model_id, channel, objection, judged_again)
        if _champion(state) != evaluated.counts["champion_id"]:
            evaluated = _judge_again(published, channel, state, evaluated, judge_again)
            judged_again += 1
        elif _moved(workspace, published, channel, state, who, run, why, forced):
            return Promotion(True, published.model_id, channel, why, judged_again)
    raise TransientError(f"{channel} moved again and again while {published.model_id} was judged against it; try again")


def _champion(state: ChannelState | None) -> str | None:
    return state.model_id if state else None


def _is_ours(state: ChannelState, published: Published, run: str) -> bool:
    """Whether a killed try of this run, or the same run delivered twice, has moved the channel already."""
    return state.move.kind != "rollback" and (state.model_id, state.move.run) == (published.model_id, run)


def _moved(
    workspace: Workspace,
    published: Published,
    channel: str,
    state: ChannelState | None,
    who: str,
    run: str,
    why: str,
    forced: bool,
) -> bool:
    """Compare and swap; False when somebody else moved the channel in this very moment."""
    kind: Kind = "promote" if published.verdict == "PROMOTE" and not forced else "force"
    move = Move(
        channel,
        moved_now(),
        _champion(state),
        published.model_id,
        published.as_of,
        who,
        why,
        published.verdict,
        run,
        kind,
    )
    try:
        workspace.registry.promote(move, state)
    except PreconditionFailed as error:
        log.info("%s", error)
        return False
    return True


def _judge_again(
    published: Published,
    channel: str,
    state: ChannelState | None,
    evaluated: Artifact,
    judge_again: JudgeAgain | None,
) -> Artifact:
    told = (
        f"{channel} points to {_champion(state)}, but {published.model_id} was judged when it pointed to "
        f"{evaluated.counts['champion_id']}."
    )
    if judge_again is None:
        raise GateRejected(f"{told} It was not moved. Clear the task evaluate of this run, with all after it.")
    log.info("%s It is judged again.", told)
    try:
        return judge_again()
    except GateRejected as error:
        raise GateRejected(f"{told} Judged again, it does not pass: {channel} was not moved.\n{error}") from error


def _objection(
    workspace: Workspace, published: Published, channel: str, state: ChannelState | None, forced: bool
) -> str | None:
    if state is None:
        return None
    if state.model_id == published.model_id:
        return f"{channel} points to {published.model_id} already"
    if is_older(published.as_of, state):
        return (
            f"{published.model_id} knows nothing after {published.as_of}, and {channel} has {state.model_id}, "
            f"which knows all before {state.as_of}"
        )
    rollback = None if forced else workspace.registry.was_rolled_back(channel, published.model_id)
    if rollback is not None:
        return (
            f"{published.model_id} was rolled back by {rollback.who} ({rollback.why}). To bring it back: "
            f"python -m include.recommender.registry promote {published.model_id} --why ..."
        )
    return None
