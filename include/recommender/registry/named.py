"""Versions by the names that people type: an id, or a channel."""

from __future__ import annotations

import re

from ..errors import NotFound
from .registry import Registry
from .sealed import PLAIN


def version_named(registry: Registry, name: str) -> str:
    """A version's id: the name itself, or what the channel of that name points to. Raises NotFound."""
    if not re.search(PLAIN, name):
        raise NotFound(f"{name!r}: no version or channel has such a name. `list` names them all.")
    if registry.manifests([name]):
        return name
    state = registry.channels.read(name)
    if state is None and registry.tombstone(name) is None:
        where = registry.objects.uri(f"models/{name}")
        raise NotFound(
            f"{where}: there is no such version, and no channel {name} that points to one. `list` names them all."
        )
    return state.model_id if state else name
