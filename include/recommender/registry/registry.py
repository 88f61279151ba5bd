"""The registry: versions, and the channels that are moved from one to another."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..errors import ConfigError, DataError, NotFound
from ..parameters import MAIN_CHANNEL, REGISTRY
from .bundle import Manifest
from .channels import Channels, ChannelState, Kind, Move
from .moves import moved_now, promote_command, replay, rollback_command
from .versions import Versions

log = logging.getLogger(__name__)

BY_HAND = "by hand"


@dataclass(frozen=True)
class Actor:
    """Who moves a channel, why, and in which run."""

    who: str
    why: str
    run: str = BY_HAND

    def check(self) -> None:
        """Raise ConfigError if `who` or `why` is blank or too long."""
        problems = [REGISTRY["who"].problem(self.who), REGISTRY["why"].problem(self.why)]
        if any(problems):
            raise ConfigError([problem for problem in problems if problem])


NEWEST = 20  # versions that are checked as a replacement for a damaged one


@dataclass(frozen=True)
class Registry(Versions):
    """Model versions below `models/`, channels below `channels/`."""

    @property
    def channels(self) -> Channels:
        """The mutable pointers to versions."""
        return Channels(self.objects)

    def promote(self, move: Move, current: ChannelState | None, *, verify: bool = False) -> ChannelState:
        """Move a channel to a version that exists, with every file; see `Channels.move`.

        Parameters
        ----------
        verify : compare the SHA-256 of every file too

        Raises
        ------
        NotFound
            There is no such version.
        ConfigError
            It knows less than the version that is live, and `move.kind` is "promote".
        DataError
            A file of the version is missing or damaged, or `known_until` of the move is not that of the version.
        PreconditionFailed
            Somebody moved the channel meanwhile; nothing was changed.
        """
        manifest = self._checked_manifest(move.channel, move.to_model, current, verify=verify)
        if manifest.known_until != move.known_until:
            raise DataError(
                f"{move.to_model} knows everything until {manifest.known_until.isoformat()}, but the move has "
                f"{move.known_until.isoformat()}"
            )
        if move.kind == "promote":
            _refuse_older(manifest, move.channel, current)
        state = self.channels.move(move, current)
        self._confirm(state)
        return state

    def _checked_manifest(self, channel: str, model_id: str, current: ChannelState | None, *, verify: bool) -> Manifest:
        """The manifest of the version that is to become live, with every file checked."""
        try:
            return self.whole(model_id, verify=verify)
        except NotFound:
            raise
        except DataError as error:
            raise DataError(
                f"{error}\n{model_id} is damaged, {_unmoved(channel, current)}. {self._alternative(channel, model_id)}"
            ) from error

    def _alternative(self, channel: str, damaged: str) -> str:
        """The advice which version to take if the requested one is damaged."""
        found = self.manifests(name for name in self.versions() if name != damaged)
        others = [body for body in found.values() if not isinstance(body, DataError)]
        for body in sorted(others, key=lambda body: body.created_at, reverse=True)[:NEWEST]:
            if not self.wrong_files(body):
                return f"The newest other version whose files are all there:\n{promote_command(body.model_id, channel)}"
        return "No other version is whole. Run the DAG again, or restore files from the bucket's versions."

    def finish(self, state: ChannelState) -> None:
        """Complete a promotion whose process was killed after the pointer had moved.

        Raises
        ------
        NotFound
            The version was retired in that moment.
        DataError
            A file of it is gone.
        """
        self.channels.append_latest(state)
        self._confirm(state)

    def _confirm(self, state: ChannelState) -> None:
        """Move the channel back if the version was retired or lost a file at the same moment.

        `retire` deletes the manifest first and then reads the channels; a promotion moves the channel first and then
        reads the manifest. So at least one of the two sees the other.
        """
        try:
            self.whole(state.model_id)
        except NotFound as error:
            problem = (
                f"{self.objects.uri(f'models/{state.model_id}')}: was retired while {state.move.channel} moved to it"
            )
            raise NotFound(f"{problem}. {self._move_back(state, 'was retired')}") from error
        except DataError as error:
            raise DataError(f"{error}\n{self._move_back(state, 'lost a file')}") from error

    def _move_back(self, state: ChannelState, what: str) -> str:
        """Move to the previous version if that is complete; return a sentence on where the channel points now."""
        move, before = state.move, state.move.from_model
        if before is None:
            return f"{move.channel} points to nothing that exists: promote another version."
        try:
            manifest = self.whole(before)
        except DataError as error:
            return f"{move.channel} still points to it, for {before} is no better ({error}): promote another version."
        kind: Kind = "promote" if move.kind == "rollback" else "rollback"
        why = f"{move.to_model} {what} in this moment"
        back = _move(move.channel, manifest, state, Actor(move.who, why, move.run), kind)
        self.channels.move(back, state)
        return f"{move.channel} points to {before}."

    def promote_by_hand(
        self,
        channel: str,
        model_id: str,
        *,
        by: Actor,
        allow_older: bool = False,
        create: bool = False,
        verify: bool = False,
    ) -> ChannelState:
        """Promote a version by hand; nothing is moved if the channel already points to it.

        The move's kind is "force" if the verdict was not PROMOTE, or if the version knows less.
        Raises as `promote` does, and ConfigError where `who` or `why` is blank or too long, or the channel is new.

        Parameters
        ----------
        create : allow a channel that does not exist yet; the main channel is always allowed
        """
        by.check()
        current = self.channels.read(channel)
        if current is None and not create and channel != MAIN_CHANNEL:
            raise ConfigError(f"{self.channels.unknown(channel)} To create it: --create")
        manifest = self._checked_manifest(channel, model_id, current, verify=verify)
        if current is not None and current.model_id == model_id:
            return current
        if not allow_older:
            _refuse_older(manifest, channel, current)
        forced = manifest.decision != "PROMOTE" or is_older(manifest.known_until, current)
        kind: Kind = "force" if forced else "promote"
        return self.promote(_move(channel, manifest, current, by, kind), current)

    def rollback(self, channel: str, to: str | None = None, *, by: Actor, verify: bool = True) -> ChannelState:
        """Point a channel to the version that was live before, or to an earlier one.

        A second rollback goes further back. Retired versions are skipped. A damaged version raises, since a person
        should know of it.

        Parameters
        ----------
        verify : compare the SHA-256 of every file; otherwise only presence and size

        Raises
        ------
        ConfigError
            There is no earlier version, `to` is not one of them, or `who` or `why` is blank or too
            long.
        NotFound
            `to` was retired.
        DataError
            The version is damaged; nothing was moved.
        PreconditionFailed
            Somebody moved the channel meanwhile; nothing was changed.
        """
        by.check()
        current = self.channels.read(channel)
        if current is None:
            raise ConfigError(f"{self.channels.unknown(channel)} There is nothing to go back to.")
        stack = replay(self.channels.history(channel)).stack
        manifest = self._target(channel, stack, to, verify=verify)
        return self.promote(_move(channel, manifest, current, by, "rollback"), current)

    def _target(self, channel: str, stack: tuple[str, ...], to: str | None, *, verify: bool) -> Manifest:
        live = stack[-1]
        below = [name for name in dict.fromkeys(reversed(stack[:-1])) if name != live]
        if to is not None and to not in below:
            raise ConfigError(
                f"{to} was not live on {channel} below {live}: a rollback goes to one of {', '.join(below) or 'none'}. "
                "To go anywhere else, promote it by hand (with --allow-older)."
            )
        for name in [to] if to is not None else below:
            try:
                return self.whole(name, verify=verify)
            except NotFound as error:
                if to is not None:
                    raise
                log.warning("Skipped %s", error)
            except DataError as error:
                further = self._further(channel, below[below.index(name) + 1 :])
                raise DataError(
                    f"{error}\n{name} is damaged, {channel} was not moved and points to {live}. {further}"
                ) from error
        raise ConfigError(f"{channel}: no version below {live} is left to go back to. Promote one by hand.")

    def _further(self, channel: str, below: Iterable[str]) -> str:
        """The advice how to roll back past a damaged version."""
        for name in below:
            try:
                self.whole(name)
            except DataError:
                continue
            return f"To go further back, to the next one whose files are all there:\n{rollback_command(name, channel)}"
        return "No version further back is whole: promote another one by hand; `list` names them."

    def was_rolled_back(self, channel: str, model_id: str) -> Move | None:
        """The rollback that removed a version from a channel, unless it was promoted again since."""
        return replay(self.channels.history(channel)).rolled_back.get(model_id)


def is_older(known_until: datetime, current: ChannelState | None) -> bool:
    """Whether the channel's version knows more, by its data, not by the dates of the runs.

    If two versions know the same, neither is older. The gate compares them on one holdout.
    """
    return current is not None and known_until < current.known_until


def _refuse_older(manifest: Manifest, channel: str, current: ChannelState | None) -> None:
    if current is not None and is_older(manifest.known_until, current):
        raise ConfigError(
            f"{manifest.model_id} knows everything until {manifest.known_until.isoformat()}, and {channel} has "
            f"{current.model_id}, which knows everything until {current.known_until.isoformat()}. "
            "To go back, roll back; or promote it by hand with --allow-older."
        )


def _unmoved(channel: str, current: ChannelState | None) -> str:
    return f"{channel} was not moved and points to {current.model_id}" if current else f"{channel} still points nowhere"


def _move(channel: str, to: Manifest, current: ChannelState | None, by: Actor, kind: Kind) -> Move:
    return Move(
        channel=channel,
        moved_at=moved_now(),
        from_model=current.model_id if current else None,
        to_model=to.model_id,
        known_until=to.known_until,
        who=by.who,
        why=by.why,
        verdict=to.decision,
        run=by.run,
        kind=kind,
    )
