"""Moves: the content of a channel's pointer and history, checked when read, and the state after a history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from ..parameters import MAIN_CHANNEL
from ..parameters.of_registry import WHO_CHARS, WHY_CHARS
from ..storage.documents import Count, Decision, Instant
from .sealed import Plain, read_document, write_document

Kind = Literal["promote", "rollback", "force"]

# Of the registry, in messages and its own help.
COMMAND = "python -m include.recommender.console"


def promote_command(model_id: str, channel: str | None = None) -> str:
    """The command that points a channel to a version."""
    return f"{COMMAND} promote {model_id}{_option(channel)} --why ..."


def rollback_command(model_id: str, channel: str) -> str:
    """The command that rolls a channel back to an earlier version."""
    return f"{COMMAND} rollback --to {model_id}{_option(channel)} --why ..."


def batch_command(channel: str) -> str:
    """The command that writes the recommendations of what a channel points to."""
    conf = "" if channel == MAIN_CHANNEL else f""" -c '{{"channel": "{channel}"}}'"""
    return f"airflow dags trigger recommender_batch{conf}"


def _option(channel: str | None) -> str:
    return f" --channel {channel}" if channel not in (None, MAIN_CHANNEL) else ""


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One move of a channel: when, from and to which version, who, why, with which verdict, in which run.

    moved_at : UTC, `YYYYMMDDTHHMMSS.ffffffZ`, by the clock of the mover; for information only, it orders nothing
    known_until : of the version moved to, the instant up to which it knows everything (`Manifest.known_until`)
    who : the person, as Airflow or the operating system knows them, and from where
    kind : "promote"; "rollback"; or "force", a promotion that a rule forbade and a written reason forced
    number : 1 for the first move of a channel, set when it is moved
    """

    channel: Plain
    moved_at: Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{8}T[0-9]{6}(\.[0-9]{6})?Z\Z")]
    from_model: Plain | None
    to_model: Plain
    known_until: Instant
    who: Annotated[str, msgspec.Meta(max_length=WHO_CHARS)]
    why: Annotated[str, msgspec.Meta(max_length=WHY_CHARS)]
    verdict: Decision
    run: str
    kind: Kind = "promote"
    number: Count = 0

    def __post_init__(self) -> None:
        datetime.fromisoformat(self.moved_at)

    def to_json(self) -> bytes:
        """The stored bytes, in the pointer and in the history."""
        return write_document(self)

    @classmethod
    def from_json(cls, raw: bytes, where: str, fix: str) -> Move:
        """Parse and check the output of `to_json`; `where` and `fix` are for the message. Raises DataError."""
        return read_document(raw, cls, where, fix)


def instant(text: str) -> datetime:
    """An instant written in ISO 8601; without an offset it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def one_line(text: str) -> str:
    """Stored text within a sentence."""
    return " ".join(text.split())


def moved_now() -> str:
    """The current time in the format of `Move.moved_at`."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


@dataclass(frozen=True)
class ChannelStack:
    """The state of a channel after its history.

    stack : versions from the first to the one that is live; a promotion pushes, a rollback pops down to its target
    rolled_back : version -> the rollback that removed it, unless it was promoted again since
    """

    stack: tuple[str, ...]
    rolled_back: dict[str, Move]


def replay(history: Iterable[Move]) -> ChannelStack:
    """Apply moves, oldest first."""
    stack: list[str] = []
    rolled_back: dict[str, Move] = {}
    for move in history:
        if move.kind == "rollback":
            keep = _position(stack[:-1], move.to_model)
            for name in stack[keep + 1 :]:
                rolled_back[name] = move
            del stack[keep + 1 :]
        if not stack or stack[-1] != move.to_model:
            stack.append(move.to_model)
        rolled_back.pop(move.to_model, None)
    return ChannelStack(tuple(stack), rolled_back)


def _position(stack: list[str], name: str) -> int:
    """Position of the last push of a version; one below the top if there is none."""
    found = [position for position, each in enumerate(stack) if each == name]
    return found[-1] if found else len(stack) - 1
