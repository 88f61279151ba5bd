"""Channels: pointers to one model version, moved by compare-and-swap, with an append-only history."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ConfigError, DataError, NotFound, PreconditionFailed
from ..storage.artifacts import canonical_hash
from ..storage.objects import ObjectStore

log = logging.getLogger(__name__)

NOBODYS_ETAG = '"00000000000000000000000000000000"'


@dataclass(frozen=True)
class Move:
    """One movement of a channel: when, from where to where, who, why, on which verdict, by which run."""

    channel: str
    moved_at: str
    from_model: str | None
    to_model: str
    as_of: str
    who: str
    why: str
    verdict: str
    run: str


@dataclass(frozen=True)
class ChannelState:
    """Where a channel points: the move that brought it there, and the ETag that the next one has to match."""

    move: Move
    etag: str

    @property
    def model_id(self) -> str:
        """The version it points to."""
        return self.move.to_model

    @property
    def as_of(self) -> str:
        """The instant, ISO 8601, after which that version knows nothing."""
        return self.move.as_of


@dataclass(frozen=True)
class Channels:
    """The channels below `channels/`.

    The pointer itself holds the whole move, so a process that is killed between moving it and appending to the history
    loses nothing: whoever reads or moves the channel next appends what is missing.
    """

    objects: ObjectStore

    def read(self, channel: str) -> ChannelState | None:
        """Where a channel points, or None when it points nowhere yet."""
        key = f"channels/{channel}.json"
        try:
            raw, etag = self.objects.read_tagged(key)
        except NotFound:
            return None
        try:
            return ChannelState(Move(**json.loads(raw)), etag)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{self.objects.uri(key)}: not a channel ({error}). Restore the newest file of "
                f"{self.objects.uri(f'channels/{channel}/history')}/ under this name."
            ) from error

    def move(self, move: Move, seen: ChannelState | None) -> ChannelState:
        """Move a channel from the state that was seen.

        Raises
        ------
        ConfigError
            The store ignores conditional writes.
        PreconditionFailed
            Somebody moved the channel meanwhile; nothing was changed.
        """
        self.probe()
        if seen is not None:
            self._append(seen.move)
        key = f"channels/{move.channel}.json"
        try:
            etag = self.objects.write(key, _body(move), create_only=seen is None, if_match=seen.etag if seen else None)
        except PreconditionFailed as error:
            now = self.read(move.channel)
            # A write whose answer was lost is sent again by botocore, and then loses against itself.
            if now is None or now.move != move:
                raise PreconditionFailed(
                    f"{self.objects.uri(key)}: somebody else moved the channel while {move.to_model} was being "
                    "promoted. Nothing was changed. Look at the channel's history, then decide anew."
                ) from error
            etag = now.etag
        self._append(move)
        log.info("%s: %s -> %s (%s)", move.channel, move.from_model, move.to_model, move.why)
        return ChannelState(move, etag)

    def _append(self, move: Move) -> None:
        entry = f"channels/{move.channel}/history/{move.moved_at}-{canonical_hash(asdict(move))[:8]}.json"
        with suppress(PreconditionFailed):
            self.objects.write(entry, _body(move), create_only=True)

    def history(self, channel: str) -> list[Move]:
        """All movements of a channel, oldest first."""
        state = self.read(channel)
        if state is not None:
            self._append(state.move)
        rows = self.objects.walk(f"channels/{channel}/history/")
        return [Move(**json.loads(self.objects.read(row.key))) for row in rows]

    def probe(self) -> None:
        """Raise ConfigError when the store does not honour conditional writes."""
        key = "channels/.probe"
        self.objects.write(key, b"probe")
        conditions: dict[str, dict[str, Any]] = {
            "If-None-Match": {"create_only": True},
            "If-Match": {"if_match": NOBODYS_ETAG},
        }
        for header, condition in conditions.items():
            try:
                self.objects.write(key, b"probe", **condition)
            except PreconditionFailed:
                continue
            raise ConfigError(
                f"{self.objects.uri(key)}: the store ignores {header}, so two promotions could overwrite each other. "
                "Nothing is promoted there. Use a store with conditional writes (Amazon S3 has them)."
            )


def _body(move: Move) -> bytes:
    return json.dumps(asdict(move), indent=1, sort_keys=True).encode()
