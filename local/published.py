"""Versions and latest move of a channel, before and after an interrupted run: what the run published."""

from __future__ import annotations

from dataclasses import dataclass

from include.recommender.registry.moves import Move
from include.recommender.registry.registry import Registry
from include.recommender.storage.objects import ObjectStore


@dataclass(frozen=True)
class Published:
    """The latest move of a channel (None: it points nowhere yet), and the ids of all complete versions."""

    channel: str
    move: Move | None
    versions: frozenset[str]

    @classmethod
    def read(cls, root: ObjectStore, channel: str) -> Published:
        """As the store has it now. Raises RecommenderError."""
        registry = Registry(root)
        state = registry.channels.read(channel)
        return cls(channel, state.move if state else None, frozenset(registry.versions()))


def left_behind(before: Published, after: Published) -> str:
    """The effect of a run that was stopped on models and channel, as text."""
    made, move = sorted(after.versions - before.versions), after.move
    model = "no new one was published by this run"
    if made:
        model = f"{', '.join(made)} was published before the run was stopped"
    if move is None:
        channel = f"{after.channel} points nowhere yet; the run did not move it"
    elif move == before.move:
        channel = f"{after.channel} still points to {move.to_model}; the run did not move it"
    else:
        channel = f"{after.channel} points to {move.to_model}; the run moved it there before it was stopped"
    return f"Model:   {model}\nChannel: {channel}"
