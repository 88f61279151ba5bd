"""Promotion: move the channel to a published version by compare-and-swap; judge again if the champion changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..errors import GateRejected, PreconditionFailed, TransientError
from ..evaluation.outcomes import EvaluationCounts
from ..parameters.of_registry import WHO_CHARS, WHY_CHARS
from ..registry.channels import ChannelState, Kind, Move
from ..registry.moves import moved_now, one_line, promote_command
from ..registry.registry import is_older
from ..storage.artifacts import Artifact
from . import judge
from .candidate import Candidate
from .publish import Published
from .workspace import Outcome, Workspace

log = logging.getLogger(__name__)

ROUNDS = 8  # attempts; a new judgement and a move take two


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """The result of a promotion: whether the channel moved, and why or why not.

    judged_again : how often the candidate was judged again because the channel had moved
    """

    moved: bool
    model_id: str
    channel: str
    why: str
    judged_again: int = 0


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """The version to promote, the channel, who promotes it, in which run, and why.

    force_reason : why a person promotes it whatever the verdict, even if it was rolled back; None without force
    """

    published: Published
    channel: str
    who: str
    run: str
    why: str
    force_reason: str | None = None

    @property
    def forced(self) -> bool:
        """Whether a person promotes it whatever the verdict."""
        return bool(self.force_reason)

    def ended(self, why: str, judged_again: int, *, moved: bool) -> Promotion:
        """The result of this request."""
        return Promotion(
            moved=moved,
            model_id=self.published.model_id,
            channel=self.channel,
            why=why,
            judged_again=judged_again,
        )


@dataclass(frozen=True)
class CandidateJudge:
    """Judges a candidate again, against the champion of this moment.

    on_outcome : called with each artifact of the judgement, even if the candidate does not pass
    """

    candidate: Candidate
    on_outcome: Callable[[Outcome], object] = lambda outcome: None

    def judged(self, force_reason: str | None) -> Artifact:
        """Return the evaluation against the current champion. Raises GateRejected if the candidate does not pass."""
        config = self.candidate.config
        evaluated = judge.evaluate(self.candidate)
        self.on_outcome(evaluated)
        gated = judge.recall_gate(
            self.candidate.workspace,
            evaluated.artifact,
            top_k=config.evaluate.top_k,
            force_reason=force_reason,
            config=config.gate,
        )
        self.on_outcome(gated)
        judge.require_promotion(self.candidate.workspace, gated.artifact)
        return evaluated.artifact


def promote_model(
    workspace: Workspace, request: PromotionRequest, evaluated: Artifact, rejudge: CandidateJudge | None = None
) -> Promotion:
    """Point a channel to a published version, unless it already points to that version or to newer knowledge.

    If the channel moved since the candidate was judged, the candidate is judged again.

    Parameters
    ----------
    rejudge : judges the candidate against the new champion

    Raises
    ------
    GateRejected
        The candidate does not pass against the new champion, or `rejudge` is None.
    TransientError
        The channel moved in each of ROUNDS attempts.
    """
    channel, model_id, judged_again = request.channel, request.published.model_id, 0
    for _ in range(ROUNDS):
        state = workspace.registry.channels.read(channel)
        if state is not None and _is_ours(state, request):
            workspace.registry.finish(state)
            log.info("%s already points to %s: an earlier attempt of this run moved it", channel, model_id)
            return request.ended(request.why, judged_again, moved=True)
        objection = _objection(workspace, request, state)
        if objection:
            log.info("%s was not moved: %s", channel, objection)
            return request.ended(objection, judged_again, moved=False)
        if _champion(state) != evaluated.counted(EvaluationCounts).champion_id:
            evaluated = _judge_again(request, state, evaluated, rejudge)
            judged_again += 1
        elif _moved(workspace, request, state):
            return request.ended(request.why, judged_again, moved=True)
    raise TransientError(
        f"{channel} moved {ROUNDS} times while {model_id} was judged against it. Clear the task to try again"
    )


def _champion(state: ChannelState | None) -> str | None:
    return state.model_id if state else None


def _is_ours(state: ChannelState, request: PromotionRequest) -> bool:
    """Whether an earlier attempt of this run has already moved the channel."""
    return state.move.kind != "rollback" and (state.model_id, state.move.run) == (
        request.published.model_id,
        request.run,
    )


def _moved(workspace: Workspace, request: PromotionRequest, state: ChannelState | None) -> bool:
    """Move the channel by compare-and-swap; return False if another process moved it first."""
    published = request.published
    kind: Kind = "promote" if published.verdict == "PROMOTE" and not request.forced else "force"
    move = Move(
        channel=request.channel,
        moved_at=moved_now(),
        from_model=_champion(state),
        to_model=published.model_id,
        known_until=datetime.fromisoformat(published.known_until),
        who=_shortened(request.who, WHO_CHARS),
        why=_shortened(request.why, WHY_CHARS),
        verdict=published.verdict,
        run=request.run,
        kind=kind,
    )
    try:
        workspace.registry.promote(move, state)
    except PreconditionFailed as error:
        log.info("%s", error)
        return False
    return True


def _shortened(text: str, limit: int) -> str:
    """The text within the limit: a long note must not make the promotion fail."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _judge_again(
    request: PromotionRequest, state: ChannelState | None, evaluated: Artifact, rejudge: CandidateJudge | None
) -> Artifact:
    channel, published = request.channel, request.published
    reason = (
        f"{channel} points to {_champion(state)}, but {published.model_id} was judged when it pointed to "
        f"{evaluated.counted(EvaluationCounts).champion_id}."
    )
    if rejudge is None:
        raise GateRejected(
            f"{reason} The channel was not moved. Clear the task evaluate of this run and all tasks after it."
        )
    log.info("%s The candidate is judged again.", reason)
    try:
        return rejudge.judged(request.force_reason)
    except GateRejected as error:
        raise GateRejected(
            f"{reason} Judged again, the candidate does not pass, and {channel} was not moved.\n{error}"
        ) from error


def _objection(workspace: Workspace, request: PromotionRequest, state: ChannelState | None) -> str | None:
    channel, published = request.channel, request.published
    if state is None:
        return None
    if state.model_id == published.model_id:
        return f"{channel} points to {published.model_id} already"
    if is_older(datetime.fromisoformat(published.known_until), state):
        return (
            f"{published.model_id} knows everything until {published.known_until}, and {channel} has "
            f"{state.model_id}, which knows everything until {state.known_until.isoformat()}: an older version is "
            f"promoted by hand only, with --allow-older"
        )
    rollback = None if request.forced else workspace.registry.was_rolled_back(channel, published.model_id)
    if rollback is not None:
        return (
            f"{published.model_id} was rolled back by {one_line(rollback.who)} ({one_line(rollback.why)}). "
            "To bring it back: " + promote_command(published.model_id, channel)
        )
    return None
