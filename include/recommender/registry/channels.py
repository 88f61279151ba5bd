"""Channels: pointers to one model version, moved by compare-and-swap, with an append-only history."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import msgspec
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ..errors import DataError, NotFound, PreconditionFailed, TransientError
from ..storage.artifacts import canonical_hash
from ..storage.objects import ObjectStore
from .atomicity import check_conditional_writes
from .moves import Kind, Move, one_line
from .parallel import read_each

log = logging.getLogger(__name__)

# A pointer, or an entry of a history. Other objects there (such as a copy) are ignored.
_NAME = "([A-Za-z0-9][A-Za-z0-9._-]{0,127})"
_CHANNEL_KEY = re.compile(rf"channels/(?:{_NAME}\.json|{_NAME}/history/[^/]+)")


ATTEMPTS = 4

# A store answers 409 where two conditional writes of one key meet; botocore does not send such a write again.
_patiently = retry(
    retry=retry_if_exception_type(TransientError),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    reraise=True,
)


@dataclass(frozen=True)
class ChannelState:
    """The state of a channel: its last move, and the ETag that the next write has to match."""

    move: Move
    etag: str

    @property
    def model_id(self) -> str:
        """The version it points to."""
        return self.move.to_model

    @property
    def known_until(self) -> datetime:
        """The instant up to which that version knows everything."""
        return self.move.known_until


@dataclass(frozen=True)
class Channels:
    """The channels below `channels/`.

    The pointer holds the whole move, so nothing is lost if a process is killed between moving it and appending to the
    history. A reader of the history includes that move, and the next writer appends it first.
    """

    objects: ObjectStore

    def names(self) -> list[str]:
        """Return all channels, also those that have a history and no pointer."""
        found = (_CHANNEL_KEY.fullmatch(row.key) for row in self.objects.walk("channels/"))
        return sorted({match[1] or match[2] for match in found if match})

    def unknown(self, channel: str) -> str:
        """Return the message about a missing channel: similar names first, then all channels."""
        names = self.names()
        like = get_close_matches(channel, names, n=3)
        near = f" Did you mean {' or '.join(like)}?" if like else ""
        return (
            f"{self.objects.uri(_pointer(channel))}: there is no channel {channel}, it points nowhere yet.{near} "
            f"Channels: {', '.join(names) or 'none yet'}."
        )

    def read(self, channel: str) -> ChannelState | None:
        """Where a channel points, or None when it never pointed anywhere.

        Raises
        ------
        DataError
            The pointer is damaged, or it is missing although the history exists.
        """
        state = self._read(channel)
        # The pointer is written before its history: a history without a pointer means that the pointer is gone.
        if state is None and self._has_history(channel):
            state = self._read(channel)
            if state is None:
                raise DataError(f"{self.objects.uri(_pointer(channel))}: the pointer is gone. {self._remedy(channel)}")
        return state

    def _read(self, channel: str) -> ChannelState | None:
        key = _pointer(channel)
        try:
            raw, etag = self.objects.read_tagged(key)
        except NotFound:
            return None
        return ChannelState(self._parse(raw, channel, key, self._remedy(channel)), etag)

    def _parse(self, raw: bytes, channel: str, key: str, remedy: str) -> Move:
        move = Move.from_json(raw, self.objects.uri(key), remedy)
        if move.channel != channel:
            raise DataError(f"{self.objects.uri(key)}: channel={move.channel!r}, expected {channel!r}. {remedy}")
        return move

    def _parse_entry(self, raw: bytes, channel: str, key: str) -> Move:
        fix = "Restore it from the bucket's versions, or delete it: the history then lacks one move."
        move = self._parse(raw, channel, key, fix)
        if _entry(move) != key:
            raise DataError(f"{self.objects.uri(key)}: holds move {move.number}, of {_entry(move)}. {fix}")
        return move

    def _has_history(self, channel: str) -> bool:
        return next(iter(self.objects.walk(f"channels/{channel}/history/")), None) is not None

    def _remedy(self, channel: str) -> str:
        folder = self.objects.uri(f"channels/{channel}/history")
        return (
            f"Copy the entry with the highest number of {folder}/ to {self.objects.uri(_pointer(channel))}, "
            "or restore that from the bucket's versions."
        )

    def move(self, move: Move, current: ChannelState | None) -> ChannelState:
        """Move a channel if its state is still `current`; the move gets the next number.

        Raises
        ------
        ConfigError
            The store ignores conditional writes.
        PreconditionFailed
            Somebody moved the channel meanwhile; nothing was changed.
        DataError
            A field of the move is invalid; nothing was changed.
        """
        self.probe()
        if current is not None:
            self._append(current.move)
        move = msgspec.structs.replace(move, number=(current.move.number if current else 0) + 1)
        # The pointer must be readable.
        Move.from_json(move.to_json(), self.objects.uri(_pointer(move.channel)), "Nothing was changed.")
        state = self._swap(move, current)
        self._append(move)
        log.info("%s: %s -> %s (%s)", move.channel, move.from_model, move.to_model, f"{move.kind}: {move.why}")
        return state

    def append_latest(self, state: ChannelState) -> None:
        """Append the latest move to the history, if a killed process did not."""
        self._append(state.move)

    @_patiently
    def _swap(self, move: Move, current: ChannelState | None) -> ChannelState:
        condition: dict[str, Any] = {"if_match": current.etag} if current else {"create_only": True}
        try:
            return ChannelState(move, self.objects.write(_pointer(move.channel), move.to_json(), **condition))
        except (PreconditionFailed, TransientError) as error:
            now = self._read(move.channel)
            # If the answer of a write is lost, botocore writes again, and the first write makes the second fail.
            if now is not None and now.move == move:
                return now
            if isinstance(error, TransientError) and now == current:
                raise
            raise PreconditionFailed(
                f"{self.objects.uri(_pointer(move.channel))}: somebody else moved the channel while {move.to_model} "
                f"was being promoted: {_describe(now)}. Nothing was changed. Look at its history, then decide again."
            ) from error

    def _append(self, move: Move) -> None:
        with suppress(PreconditionFailed):
            self.objects.write(_entry(move), move.to_json(), create_only=True)

    def history(self, channel: str) -> list[Move]:
        """Return all moves of a channel, oldest first. Writes nothing."""
        state = self.read(channel)
        keys = [row.key for row in self.objects.walk(f"channels/{channel}/history/")]
        entries = zip(keys, read_each(self.objects, keys), strict=True)
        moves = {self._parse_entry(raw, channel, key) for key, raw in entries if raw is not None}
        if state is not None:
            moves.add(state.move)
        return sorted(moves, key=lambda move: (move.number, move.moved_at))

    def probe(self) -> None:
        """Raise ConfigError if the store ignores conditional writes, or decides several at once."""
        check_conditional_writes(self.objects)


def _pointer(channel: str) -> str:
    return f"channels/{channel}.json"


def _entry(move: Move) -> str:
    """Key of a move in the history, from its content alone: appending it twice writes one entry."""
    found = canonical_hash(msgspec.to_builtins(move))[:8]
    return f"channels/{move.channel}/history/{move.number:08}-{move.moved_at}-{found}.json"


def _describe(now: ChannelState | None) -> str:
    if now is None:
        return "its pointer is gone"
    move = now.move
    return f"{one_line(move.who)} moved it to {move.to_model} at {move.moved_at} ({move.kind}: {one_line(move.why)})"


__all__ = ["ChannelState", "Channels", "Kind", "Move"]
