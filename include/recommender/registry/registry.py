"""The registry: versions, and the channels that are moved from one to another."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError, DataError, NotFound
from .channels import Channels, ChannelState, Kind, Move
from .moves import instant, moved_now, replay
from .versions import Versions, manifest_key

log = logging.getLogger(__name__)

BY_HAND = "by hand"


@dataclass(frozen=True)
class Registry(Versions):
    """Model versions below `models/`, channels below `channels/`."""

    @property
    def channels(self) -> Channels:
        """The mutable pointers to versions."""
        return Channels(self.objects)

    def promote(self, move: Move, seen: ChannelState | None) -> ChannelState:
        """Move a channel to a version that exists; see `Channels.move`.

        Raises
        ------
        NotFound
            There is no such version (any more).
        ConfigError
            It has an older as_of than the version that is live, and `move.kind` is "promote".
        DataError
            The move tells another as_of than the version has.
        PreconditionFailed
            Somebody moved the channel meanwhile; nothing was changed.
        """
        manifest = self.manifest(move.to_model)
        if instant(manifest["as_of"]) != instant(move.as_of):
            raise DataError(f"{move.to_model} has as_of {manifest['as_of']}, but the move says {move.as_of}")
        if move.kind == "promote":
            _refuse_older(move.channel, move.to_model, move.as_of, seen)
        state = self.channels.move(move, seen)
        self._confirm(state, seen)
        return state

    def finish(self, state: ChannelState) -> None:
        """End a promotion whose process was killed after the pointer had moved: what `promote` does from there on.

        Raises
        ------
        NotFound
            The version was retired in that moment.
        """
        self.channels.tell(state)
        self._confirm(state, None)

    def _confirm(self, state: ChannelState, seen: ChannelState | None) -> None:
        """Move back where the version was retired in this very moment.

        `retire` deletes a manifest and then looks at the channels; here the channel moves and then we look at the
        manifest. So one of the two sees the other, whatever their order.
        """
        move = state.move
        if self.objects.exists(manifest_key(move.to_model)):
            return
        if seen is not None:
            kind: Kind = "promote" if move.kind == "rollback" else "rollback"
            back = replace(seen.move, moved_at=moved_now(), from_model=move.to_model, who=move.who, run=move.run)
            self.channels.move(replace(back, kind=kind, why=f"{move.to_model} was retired in this moment"), state)
        raise NotFound(
            f"{self.objects.uri(f'models/{move.to_model}')}: was retired while {move.channel} moved to it. "
            f"{move.channel} points to {seen.model_id if seen else 'nothing that exists: promote another version'}."
        )

    def promote_by_hand(
        self, channel: str, model_id: str, *, who: str, why: str, allow_older: bool = False, run: str = BY_HAND
    ) -> ChannelState:
        """Promote a version because a person says so; nothing is moved where the channel points to it already.

        The move's kind is "force" where the verdict was not PROMOTE, or where it goes to an older as_of.
        Raises as `promote` does, and ConfigError where `why` is blank.
        """
        _require(why)
        seen = self.channels.read(channel)
        if seen is not None and seen.model_id == model_id:
            return seen
        manifest = self.manifest(model_id)
        verdict, as_of = verdict_of(manifest), manifest["as_of"]
        if not allow_older:
            _refuse_older(channel, model_id, as_of, seen)
        kind: Kind = "force" if verdict != "PROMOTE" or is_older(as_of, seen) else "promote"
        before = seen.model_id if seen else None
        return self.promote(Move(channel, moved_now(), before, model_id, as_of, who, why, verdict, run, kind), seen)

    def rollback(self, channel: str, to: str | None = None, *, who: str, why: str, run: str = BY_HAND) -> ChannelState:
        """Point a channel to the version that was live before, or to a named one further back.

        A second rollback goes further back, not forth again. Versions that were retired meanwhile are passed over.

        Raises
        ------
        ConfigError
            There is nothing to go back to, `to` was not live below the present one, or `why` is blank.
        NotFound
            `to` was retired.
        PreconditionFailed
            Somebody moved the channel meanwhile; nothing was changed.
        """
        _require(why)
        seen = self.channels.read(channel)
        if seen is None:
            raise ConfigError(
                f"{self.objects.uri(f'channels/{channel}.json')}: points nowhere yet, nothing to go back to"
            )
        stack = replay(self.channels.history(channel)).stack
        target, manifest = self._target(channel, stack, to)
        verdict = verdict_of(manifest)
        move = Move(
            channel, moved_now(), seen.model_id, target, manifest["as_of"], who, why, verdict, run, kind="rollback"
        )
        return self.promote(move, seen)

    def _target(self, channel: str, stack: tuple[str, ...], to: str | None) -> tuple[str, dict[str, Any]]:
        below = [name for name in dict.fromkeys(reversed(stack[:-1])) if name != stack[-1]]
        if to is not None:
            if to not in below:
                raise ConfigError(
                    f"{to} was not live on {channel} below {stack[-1]}: a rollback goes to one of "
                    f"{', '.join(below) or 'none'}. To go anywhere else, promote it by hand (with --allow-older)."
                )
            return to, self.manifest(to)
        for name in below:
            try:
                return name, self.manifest(name)
            except NotFound as error:
                log.warning("Passed over %s", error)
        raise ConfigError(f"{channel}: no version below {stack[-1]} is left to go back to. Promote one by hand.")

    def was_rolled_back(self, channel: str, model_id: str) -> Move | None:
        """The rollback that took a version off a channel, unless somebody brought it back since."""
        return replay(self.channels.history(channel)).rolled_back.get(model_id)


def is_older(as_of: str, seen: ChannelState | None) -> bool:
    """Whether a channel points to newer knowledge than as_of (ISO 8601)."""
    return seen is not None and instant(as_of) < instant(seen.as_of)


def _refuse_older(channel: str, model_id: str, as_of: str, seen: ChannelState | None) -> None:
    if seen is not None and is_older(as_of, seen):
        raise ConfigError(
            f"{model_id} knows nothing after {as_of}, and {channel} has {seen.model_id}, which knows all before "
            f"{seen.as_of}. To go back, roll back; or promote it by hand with --allow-older."
        )


def verdict_of(manifest: dict[str, Any]) -> str:
    """The gate's decision on a version; "unknown" where its manifest tells none."""
    return str(manifest.get("verdict", {}).get("decision", "unknown"))


def _require(why: str) -> None:
    if not why.strip():
        raise ConfigError("why: expected a sentence; it is recorded for good")
