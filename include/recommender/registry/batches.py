"""Batches of recommendations below `recommendations/<model_id>/<plan>/`: which versions have one that is finished."""

from __future__ import annotations

from ..storage.objects import ObjectStore
from .bundle import MANIFEST
from .parallel import at_once

FOLDER = "recommendations"


def batch_folder(model_id: str, plan: str) -> str:
    """Key of the folder of a batch."""
    return f"{FOLDER}/{model_id}/{plan}"


def finished(objects: ObjectStore) -> dict[str, tuple[str, ...]]:
    """Version -> the folders of its batches that have a manifest, in the order of their names."""

    def of_version(model_id: str) -> tuple[str, ...]:
        folders = [batch_folder(model_id, plan) for plan in objects.folders(f"{FOLDER}/{model_id}/")]
        return tuple(folder for folder in folders if objects.exists(f"{folder}/{MANIFEST}"))

    versions = objects.folders(f"{FOLDER}/")
    return dict(zip(versions, at_once(objects, of_version, versions), strict=True))
