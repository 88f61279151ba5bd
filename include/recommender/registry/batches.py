"""Batches of recommendations below `recommendations/<model_id>/<plan>/`: which versions have one that is finished."""

from __future__ import annotations

from collections.abc import Sequence

from ..storage.objects import ObjectInfo, ObjectStore
from .bundle import MANIFEST
from .parallel import at_once

FOLDER = "recommendations"


def batch_folder(model_id: str, plan: str) -> str:
    """Key of the folder of a batch."""
    return f"{FOLDER}/{model_id}/{plan}"


def finished(objects: ObjectStore, model_id: str) -> tuple[str, ...]:
    """Folders of the batches of a version that have a manifest, in the order of their names."""
    folders = [batch_folder(model_id, plan) for plan in objects.folders(f"{FOLDER}/{model_id}/")]
    # By listing, for which the right to list suffices.
    return tuple(folder for folder in folders if any(objects.walk(f"{folder}/{MANIFEST}")))


def all_finished(objects: ObjectStore) -> dict[str, tuple[str, ...]]:
    """Version -> `finished`, of all versions that have a batch."""
    versions = objects.folders(f"{FOLDER}/")
    return dict(zip(versions, at_once(objects, lambda name: finished(objects, name), versions), strict=True))


def delete_batches(objects: ObjectStore, rows: Sequence[ObjectInfo]) -> None:
    """Delete listed objects of batches, their manifests first: a batch with a manifest has all its parts."""
    manifests = [row.key for row in rows if row.key.endswith(f"/{MANIFEST}")]
    objects.delete(manifests)
    objects.delete([row.key for row in rows if row.key not in set(manifests)])
