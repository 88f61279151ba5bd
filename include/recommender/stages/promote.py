"""Promoting: the channel to a published version, by compare-and-swap, judged again where the champion has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..errors import GateRejected, PreconditionFailed, TransientError
from ..evaluation.outcomes import Evaluated
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

ROUNDS = 8  # a judgement and a move take two


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What became of a channel: whether it moved, and a sentence that says why or why not.

    judged_again : how often the candidate was judged anew, since the channel had moved meanwhile
    """

    moved: bool
    model_id: str
    channel: str
    why: str
    judged_again: int = 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A version that shall become what a channel points to: by whom, in which run, and why.

    force_reason : of a person who wants this promotion whatever the verdict, also of a version that was rolled back
    """

    published: Published
    channel: str
    who: str
    run: str
    why: str
    force_reason: str | None = None

    @property
    def forced(self) -> bool:
        """Whether a person wants it whatever the verdict."""
        return bool(self.force_reason)

    def ended(self, why: str, judged_again: int, *, moved: bool) -> Promotion:
        """What became of it."""
        return Promotion(
            moved=moved,
            model_id=self.published.model_id,
            channel=self.channel,
            why=why,
            judged_again=judged_again,
        )


@dataclass(frozen=True)
class Again:
    """A candidate that may have to be judged against another champion.

    made : is called with each artifact of the judgement, also where the candidate then does not pass
    """

    candidate: Candidate
    made: Callable[[Outcome], object] = lambda outcome: None

    def judged(self, force_reason: str | None) -> Artifact:
        """The evaluation against the champion of now. Raises GateRejected where the candidate does not pass."""
        config = self.candidate.config
        evaluated = judge.evaluate(self.candidate)
        self.made(evaluated)
        gated = judge.recall_gate(
            self.candidate.workspace,
            evaluated.artifact,
            top_k=config.evaluate.top_k,
            force_reason=force_reason,
            config=config.gate,
        )
        self.made(gated)
        judge.require_promotion(self.candidate.workspace, gated.artifact)
        return evaluated.artifact


def promote_model(workspace: Workspace, asked: Asked, evaluated: Artifact, again: Again | None = None) -> Promotion:
    """Point a channel to a published version, unless it points to that or to newer knowledge already.

    Where the channel moved since the candidate was judged against its champion, the candidate is judged anew.

    Parameters
    ----------
    again : what to judge once more where the champion is another by now

    Raises
    ------
    GateRejected
        The candidate does not pass against the champion of now, or nothing can judge it anew.
    TransientError
        The channel moved again and again.
    """
    channel, model_id, judged_again = asked.channel, asked.published.model_id, 0
    for _ in range(ROUNDS):
        state = workspace.registry.channels.read(channel)
        if state is not None and _is_ours(state, asked):
            workspace.registry.finish(state)
            log.info("%s points to %s: an earlier attempt of this run moved it", channel, model_id)
            return asked.ended(asked.why, judged_again, moved=True)
        objection = _objection(workspace, asked, state)
        if objection:
            log.info("%s stays where it is: %s", channel, objection)
            return asked.ended(objection, judged_again, moved=False)
        if _champion(state) != evaluated.counted(Evaluated).champion_id:
            evaluated = _judge_again(asked, state, evaluated, again)
            judged_again += 1
        elif _moved(workspace, asked, state):
            return asked.ended(asked.why, judged_again, moved=True)
    raise TransientError(f"{channel} moved again and again while {model_id} was judged against it; try again")


def _champion(state: ChannelState | None) -> str | None:
    return state.model_id if state else None


def _is_ours(state: ChannelState, asked: Asked) -> bool:
    """Whether a killed try of this run, or the same run delivered twice, has moved the channel already."""
    return state.move.kind != "rollback" and (state.model_id, state.move.run) == (asked.published.model_id, asked.run)


def _moved(workspace: Workspace, asked: Asked, state: ChannelState | None) -> bool:
    """Compare and swap; False when somebody else moved the channel in this very moment."""
    published = asked.published
    kind: Kind = "promote" if published.verdict == "PROMOTE" and not asked.forced else "force"
    move = Move(
        channel=asked.channel,
        moved_at=moved_now(),
        from_model=_champion(state),
        to_model=published.model_id,
        known_until=datetime.fromisoformat(published.known_until),
        who=_cut(asked.who, WHO_CHARS),
        why=_cut(asked.why, WHY_CHARS),
        verdict=published.verdict,
        run=asked.run,
        kind=kind,
    )
    try:
        workspace.registry.promote(move, state)
    except PreconditionFailed as error:
        log.info("%s", error)
        return False
    return True


def _cut(text: str, limit: int) -> str:
    """A long note of a person must not fail a promotion at its very end."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _judge_again(asked: Asked, state: ChannelState | None, evaluated: Artifact, again: Again | None) -> Artifact:
    channel, published = asked.channel, asked.published
    told = (
        f"{channel} points to {_champion(state)}, but {published.model_id} was judged when it pointed to "
        f"{evaluated.counted(Evaluated).champion_id}."
    )
    if again is None:
        raise GateRejected(f"{told} It was not moved. Clear the task evaluate of this run, with all after it.")
    log.info("%s It is judged again.", told)
    try:
        return again.judged(asked.force_reason)
    except GateRejected as error:
        raise GateRejected(f"{told} Judged again, it does not pass: {channel} was not moved.\n{error}") from error


def _objection(workspace: Workspace, asked: Asked, state: ChannelState | None) -> str | None:
    channel, published = asked.channel, asked.published
    if state is None:
        return None
    if state.model_id == published.model_id:
        return f"{channel} points to {published.model_id} already"
    if is_older(datetime.fromisoformat(published.known_until), state):
        return (
            f"{published.model_id} knows everything until {published.known_until}, and {channel} has "
            f"{state.model_id}, which knows everything until {state.known_until.isoformat()}: an older one is promoted "
            f"by hand only, with --allow-older"
        )
    rollback = None if asked.forced else workspace.registry.was_rolled_back(channel, published.model_id)
    if rollback is not None:
        return (
            f"{published.model_id} was rolled back by {one_line(rollback.who)} ({one_line(rollback.why)}). "
            "To bring it back: " + promote_command(published.model_id, channel)
        )
    return None
