"""One function a command of the registry: data for programs, text for people."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import NotFound
from . import text
from .comparison import compare
from .listing import fold_counts, live, summaries, summarize, whole_manifest
from .moves import Move
from .registry import Registry
from .retention import Retention, retire
from .verification import verify_version

CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class Answer:
    """What a command found or did: JSON values, the same as text, and the exit status."""

    data: Any
    text: str
    status: int = 0


def _resolve(registry: Registry, name: str) -> str:
    """A version's id: the name itself, or what the channel of that name points to."""
    if "/" in name or registry.manifests([name]):
        return name
    state = registry.channels.read(name)
    if state is None and registry.tombstone(name) is None:
        where = registry.objects.uri(f"models/{name}")
        raise NotFound(
            f"{where}: there is no such version, and no channel {name} that points to one. `list` names them all."
        )
    return state.model_id if state else name


def list_versions(registry: Registry, args: argparse.Namespace) -> Answer:
    """All versions, newest first."""
    rows = summaries(registry)
    return Answer([asdict(row) for row in rows], text.versions(rows, registry.objects.uri("models/")))


def show(registry: Registry, args: argparse.Namespace) -> Answer:
    """One version, or what is kept of it after it was retired."""
    name = _resolve(registry, args.model)
    pointers, retired = live(registry), None
    try:
        manifest = whole_manifest(registry, name)
    except NotFound:
        retired = registry.tombstone(name)
        if retired is None:
            raise
        manifest = retired["manifest"]
    counts = {} if retired else fold_counts(registry, name, manifest)
    moves = [move for channel in registry.channels.names() for move in registry.channels.history(channel)]
    moves = sorted((move for move in moves if name in (move.from_model, move.to_model)), key=lambda move: move.moved_at)
    summary = summarize(name, manifest, pointers)
    about = {"retired_at": retired["retired_at"], "retired_by": retired["who"]} if retired else {}
    data = {**manifest, **about, "channels": summary.channels, "counts": counts, "moves": [asdict(m) for m in moves]}
    return Answer(data, text.version(summary, manifest, counts, about, moves))


def compare_versions(registry: Registry, args: argparse.Namespace) -> Answer:
    """Two versions side by side."""
    found = compare(registry, _resolve(registry, args.a), _resolve(registry, args.b))
    return Answer(asdict(found), text.comparison(found))


def history(registry: Registry, args: argparse.Namespace) -> Answer:
    """All moves of a channel, newest first."""
    moves = registry.channels.history(args.channel)[::-1][: args.limit]
    return Answer([asdict(move) for move in moves], text.moves(moves) if moves else f"{args.channel} never moved")


def promote(registry: Registry, args: argparse.Namespace) -> Answer:
    """Point a channel to a version."""
    name = _resolve(registry, args.model)
    before = registry.channels.read(args.channel)
    taken_off = registry.was_rolled_back(args.channel, name)
    state = registry.promote_by_hand(args.channel, name, who=args.who, why=args.why, allow_older=args.allow_older)
    if state == before:
        return _moved(state.move, moved=False)
    note = f"\nIt was rolled back by {taken_off.who}: {taken_off.why}" if taken_off else ""
    done = _moved(state.move)
    return replace(done, text=done.text + note)


def rollback(registry: Registry, args: argparse.Namespace) -> Answer:
    """Point a channel to the version before, or to one further back."""
    return _moved(registry.rollback(args.channel, args.to, who=args.who, why=args.why).move)


def _moved(move: Move, *, moved: bool = True) -> Answer:
    told = f"{move.channel}: {move.from_model or 'nothing'} -> {move.to_model} (move {move.number}, {move.kind})"
    still = f"{move.channel} points to {move.to_model} already"
    return Answer({"moved": moved, **asdict(move)}, told if moved else still)


def retire_versions(registry: Registry, args: argparse.Namespace) -> Answer:
    """Delete old versions that nothing names, or tell which would go."""
    rule = Retention(args.keep_newest, args.keep_moves)
    done = retire(registry, rule, args.who, dry_run=not args.yes)
    data = {**asdict(done), "freed_bytes": done.freed_bytes}
    return Answer(data, text.retirement(done), status=1 if done.problems else 0)


def verify(registry: Registry, args: argparse.Namespace) -> Answer:
    """Download a version and check every file; status 1 where one is wrong."""
    found = verify_version(registry, _resolve(registry, args.model))
    return Answer({**asdict(found), "ok": found.ok}, text.verification(found), status=0 if found.ok else 1)


def card(registry: Registry, args: argparse.Namespace) -> Answer:
    """A version's model card."""
    name = _resolve(registry, args.model)
    body = registry.read_file(registry.manifest(name), name, CARD).decode()
    return Answer({"model_id": name, "card": body}, body.rstrip())
