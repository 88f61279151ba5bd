"""One function a command of the registry: data for programs, text for people."""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from ..errors import NotFound
from ..parameters import MAIN_CHANNEL
from ..registry.batches import finished
from ..registry.comparison import compare
from ..registry.listing import Pointers, fold_counts, moves_of, pointers, summaries, summarize
from ..registry.locate import resolve
from ..registry.moves import Move, batch_command, one_line
from ..registry.registry import Actor, Registry
from ..registry.retention import Retention, retire
from ..registry.verification import verify_version
from . import text

log = logging.getLogger(__name__)

CARD = "MODEL_CARD.md"
UNREAD = "Its files were not read: only their presence and size were checked. `verify` reads them."


@dataclass(frozen=True)
class Answer:
    """What a command found or did: JSON values, the same as text, and the exit status."""

    data: Any
    text: str
    status: int = 0


def _pointers(registry: Registry) -> Pointers:
    """What channels point to; one that cannot be read is reported on stderr."""
    found = pointers(registry)
    for problem in found.problems:
        log.warning("%s", problem)
    return found


def list_versions(registry: Registry, args: argparse.Namespace) -> Answer:
    """All versions, the newest first by creation."""
    rows = summaries(registry, _pointers(registry))
    return Answer([asdict(row) for row in rows], text.versions(rows, registry.objects.uri("models/")))


def show(registry: Registry, args: argparse.Namespace) -> Answer:
    """One version, or what is kept of it after it was retired."""
    name = resolve(registry, args.model)
    there, retired = _pointers(registry), None
    try:
        manifest = registry.manifest(name)
    except NotFound:
        retired = registry.tombstone(name)
        if retired is None:
            raise
        manifest = retired.manifest
    counts = {} if retired else fold_counts(registry, manifest)
    moves, problems = moves_of(registry, name)
    for problem in problems:
        log.warning("%s", problem)
    summary = summarize(name, manifest, there.to, finished(registry.objects, name))
    about = {"retired_at": retired.retired_at.isoformat(), "retired_by": retired.who} if retired else {}
    known = {"known_until": summary.known_until, "channels": summary.channels, "counts": counts}
    known["recommendations"] = summary.recommendations
    data = {**msgspec.to_builtins(manifest), **about, **known, "moves": [msgspec.to_builtins(move) for move in moves]}
    return Answer(data, text.version(summary, manifest, counts, about, moves))


def compare_versions(registry: Registry, args: argparse.Namespace) -> Answer:
    """Two versions side by side."""
    found = compare(registry, resolve(registry, args.a), resolve(registry, args.b))
    return Answer(asdict(found), text.comparison(found))


def history(registry: Registry, args: argparse.Namespace) -> Answer:
    """All moves of a channel, newest first."""
    moves = registry.channels.history(args.channel)[::-1]
    if not moves and args.channel != MAIN_CHANNEL:
        raise NotFound(registry.channels.unknown(args.channel))
    shown = moves[: args.limit]
    output = text.moves(shown) if moves else f"{args.channel} never moved"
    return Answer([msgspec.to_builtins(move) for move in shown], output)


def promote(registry: Registry, args: argparse.Namespace) -> Answer:
    """Point a channel to a version."""
    name = resolve(registry, args.model)
    before = registry.channels.read(args.channel)
    taken_off = registry.was_rolled_back(args.channel, name)
    state = registry.promote_by_hand(
        args.channel,
        name,
        by=Actor(args.who, args.why),
        allow_older=args.allow_older,
        create=args.create,
        verify=args.verify,
    )
    if state == before:
        return _moved(state.move, verified=args.verify, moved=False)
    note = f"\nIt was rolled back by {one_line(taken_off.who)}: {one_line(taken_off.why)}" if taken_off else ""
    done = _moved(state.move, verified=args.verify)
    return replace(done, text=done.text + note)


def rollback(registry: Registry, args: argparse.Namespace) -> Answer:
    """Point a channel to the version before, or to one further back."""
    state = registry.rollback(args.channel, args.to, by=Actor(args.who, args.why), verify=args.verify)
    done = _moved(state.move, verified=args.verify)
    return done if args.verify else replace(done, text=f"{done.text}\n{UNREAD}")


def _moved(move: Move, *, verified: bool, moved: bool = True) -> Answer:
    output = f"{move.channel}: {move.from_model or 'nothing'} -> {move.to_model} (move {move.number}, {move.kind})"
    output += f"\nA move by hand starts no batch. To write the lists: {batch_command(move.channel)}"
    still = f"{move.channel} points to {move.to_model} already"
    return Answer({"moved": moved, "verified": verified, **msgspec.to_builtins(move)}, output if moved else still)


def retire_versions(registry: Registry, args: argparse.Namespace) -> Answer:
    """Delete old versions that nothing names, or list those that would go."""
    rule = Retention(args.keep_newest, args.keep_moves)
    done = retire(registry, rule, args.who, dry_run=not args.yes)
    data = {**asdict(done), "freed_bytes": done.freed_bytes}
    return Answer(data, text.retirement(done), status=1 if done.problems else 0)


def verify(registry: Registry, args: argparse.Namespace) -> Answer:
    """Download a version and check every file; status 1 where one is wrong."""
    found = verify_version(registry, resolve(registry, args.model))
    return Answer({**asdict(found), "ok": found.ok}, text.verification(found), status=0 if found.ok else 1)


def card(registry: Registry, args: argparse.Namespace) -> Answer:
    """A version's model card."""
    name = resolve(registry, args.model)
    body = registry.read_file(registry.manifest(name), CARD).decode(errors="replace")
    return Answer({"model_id": name, "card": body}, body.rstrip())
