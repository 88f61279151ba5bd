"""Many small requests at once, over the connections that the client keeps open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..errors import NotFound
from ..storage.objects import ObjectStore

READERS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once(objects: ObjectStore, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply `work` to each item; return the results in order, or raise the first error."""
    connections: int = objects.client.meta.config.max_pool_connections  # type: ignore[attr-defined]
    with ThreadPoolExecutor(max(1, min(READERS, connections))) as pool:
        return list(pool.map(work, items))


def read_each(objects: ObjectStore, keys: Iterable[str]) -> list[bytes | None]:
    """Read small objects; None for a missing one."""

    def read(key: str) -> bytes | None:
        try:
            return objects.read(key)
        except NotFound:
            return None

    return at_once(objects, read, keys)
