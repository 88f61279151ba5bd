"""Verified copies of versions on the local disk, in the cache that tasks and servers of a machine share."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..storage.cache import entry_path, make_entry, used
from .registry import Registry


def local_copy(registry: Registry, model_id: str, cache: Path) -> Path:
    """The folder of a version's files in the cache, every one verified by its SHA-256; only missing ones are fetched.

    Raises
    ------
    NotFound
        There is no such version.
    DataError
        A file is damaged or missing, or the version's name is none.
    """
    try:
        directory = entry_path(cache, "models", model_id)
    except ValueError as error:
        where = registry.objects.uri("models/")
        raise DataError(f"{where}: {error}. Point the channel to another version.") from error
    make_entry(directory)
    registry.fetch(model_id, directory)
    used(directory)
    return directory
