"""Verified copies of versions on the local disk, in the cache that tasks and servers of a machine share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..errors import DataError
from ..storage.cache import entry_path, make_entry, used
from ..storage.digests import file_sha256
from .bundle import Manifest
from .registry import Registry
from .versions import wanted


def local_copy(registry: Registry, model_id: str, cache: Path, only: Collection[str] = ()) -> Path:
    """The folder of a version's files in the cache, every one verified by its SHA-256; only missing ones are fetched.

    Parameters
    ----------
    only : beginnings of the names of the files that are needed; empty is all

    Raises
    ------
    NotFound
        There is no such version.
    DataError
        A file is damaged or missing, or the version's name is none.
    """
    directory = entry_of(model_id, cache, registry.objects.uri("models/"))
    make_entry(directory)
    registry.fetch(model_id, directory, only)
    used(directory)
    return directory


def entry_of(model_id: str, cache: Path, where: str) -> Path:
    """The folder of a version in the cache, locked for this process; where : for the message. Raises DataError."""
    try:
        return entry_path(cache, "models", model_id)
    except ValueError as error:
        raise DataError(f"{where}: {error}. Point the channel to another version.") from error


def check_copy(manifest: Manifest, directory: Path, only: Collection[str] = ()) -> None:
    """Raise DataError if a local file of a version is missing or has another SHA-256."""
    for name, entry in manifest.files.items():
        path = directory / name
        if wanted(name, only) and not (path.is_file() and file_sha256(path) == entry.sha256):
            raise DataError(f"{path}: is missing or not the file of {manifest.model_id}. Delete {directory}")
