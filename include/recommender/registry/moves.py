"""Moves: what a channel's pointer and history hold, checked when read, and what a history amounts to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from ..errors import DataError
from ..storage.documents import parse_json
from ..storage.names import name_problem

Kind = Literal["promote", "rollback", "force"]

# Of the registry, in messages and its own help.
COMMAND = "python -m include.recommender.registry"


def promote_command(model_id: str) -> str:
    """What a person types to point a channel to a version."""
    return f"{COMMAND} promote {model_id} --why ..."


@dataclass(frozen=True)
class Move:
    """One movement of a channel: when, from where to where, who, why, on which verdict, by which run.

    moved_at : UTC, `YYYYMMDDTHHMMSS.ffffffZ`, by the clock of who moved it; it tells, and orders nothing
    as_of : of the version moved to, ISO 8601
    kind : "promote"; "rollback"; or "force", a promotion that a rule forbade and a written reason forced
    number : 1 for the first move of a channel, set when it is moved; 0 in entries written before moves were numbered
    """

    channel: str
    moved_at: str
    from_model: str | None
    to_model: str
    as_of: str
    who: str
    why: str
    verdict: str
    run: str
    kind: Kind = "promote"
    number: int = 0

    def to_json(self) -> bytes:
        """As the pointer and the history hold it."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, raw: bytes, where: str, mend: str) -> Move:
        """Read and check what `to_json` wrote.

        Parameters
        ----------
        where : URI, for the message
        mend : what to do when it is damaged

        Raises
        ------
        DataError
            Naming every field that is unknown, missing or wrong.
        """
        body = parse_json(raw, f"{where}: not a move of a channel", mend)
        if not isinstance(body, dict):
            raise DataError(f"{where}: not a move of a channel: expected a JSON object. {mend}")
        unknown = sorted(body.keys() - _NAMES)
        if unknown:
            names = ", ".join(unknown)
            raise DataError(
                f"{where}: unknown field {names}. If a newer version of the project wrote it: upgrade. {mend}"
            )
        missing = sorted(_REQUIRED - body.keys())
        if missing:
            raise DataError(f"{where}: missing field {', '.join(missing)}. {mend}")
        wrong = _wrong(body)
        if wrong:
            raise DataError(f"{where}: {'; '.join(wrong)}. {mend}")
        return cls(**body)


_NAMES = {field.name for field in fields(Move)}
_REQUIRED = {field.name for field in fields(Move) if field.default is MISSING}
_TEXTS = _REQUIRED - {"from_model"}


def _wrong(body: dict[str, Any]) -> list[str]:
    problems = [f"{name}={body[name]!r}: expected text" for name in sorted(_TEXTS) if not isinstance(body[name], str)]
    if not isinstance(body["from_model"], str | None):
        problems.append(f"from_model={body['from_model']!r}: expected text or null")
    if body.get("kind", "promote") not in get_args(Kind):
        problems.append(f"kind={body['kind']!r}: expected one of {', '.join(get_args(Kind))}")
    number = body.get("number", 0)
    if type(number) is not int or number < 0:
        problems.append(f"number={number!r}: expected a whole number from 0")
    for name in ("channel", "to_model", "from_model"):
        if isinstance(body[name], str) and name_problem(body[name]):
            problems.append(f"{name}={ascii(body[name])[:80]}: {name_problem(body[name])}, expected a plain name")
    for name in ("as_of", "moved_at"):
        if isinstance(body[name], str) and not _is_instant(body[name]):
            problems.append(f"{name}={body[name]!r}: expected a date and time in ISO 8601")
    return problems


def _is_instant(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def instant(text: str) -> datetime:
    """An instant written in ISO 8601; without an offset it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def moved_now() -> str:
    """This moment, as `Move.moved_at` has it."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


@dataclass(frozen=True)
class Standing:
    """What a history amounts to.

    stack : versions from the first to the one that is live; a promotion pushes, a rollback pops down to its target
    rolled_back : version -> the rollback that took it off, for those that did not come back since
    """

    stack: tuple[str, ...]
    rolled_back: dict[str, Move]


def replay(history: Iterable[Move]) -> Standing:
    """Play moves, oldest first."""
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
    return Standing(tuple(stack), rolled_back)


def _position(stack: list[str], name: str) -> int:
    """Where a version was last pushed; one below the top where it never was."""
    found = [position for position, each in enumerate(stack) if each == name]
    return found[-1] if found else len(stack) - 1
