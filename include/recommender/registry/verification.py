"""Checking every file of a version."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, NotFound
from .bundle import MANIFEST, ModelPart, is_judgement, load_seen, object_name
from .registry import Registry

PARTS = ("judged", "published")


@dataclass(frozen=True)
class Checked:
    """One file, or one part of the model made of several: what is wrong with it, if anything is."""

    name: str
    size_bytes: int | None
    problem: str | None = None


@dataclass(frozen=True)
class Verification:
    """Every file of a version, then its parts as they load."""

    model_id: str
    files: list[Checked]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(row.problem is None for row in self.files)


def verify_version(registry: Registry, model_id: str) -> Verification:
    """Download all files and check sizes, hashes, shapes, dtypes and finiteness; go on after a wrong one.

    Needs disk space for the whole bundle in the directory for temporary files. Raises NotFound.
    """
    manifest = registry.manifest(model_id)
    with tempfile.TemporaryDirectory(prefix="recommender-verify-") as directory:
        rows = [_fetched(registry, manifest, model_id, name, Path(directory)) for name in manifest["files"]]
        if all(row.problem is None for row in rows):
            rows += _loaded(Path(directory))
    return Verification(model_id, rows + list(_strangers(registry, manifest, model_id)))


def _fetched(registry: Registry, manifest: dict[str, Any], model_id: str, name: str, directory: Path) -> Checked:
    size = manifest["files"][name]["size_bytes"]
    try:
        registry.fetch_file(manifest, model_id, name, directory)
    except NotFound:
        return Checked(name, size, "is not there")
    except DataError as error:
        return Checked(name, size, str(error))
    return Checked(name, size)


def _loaded(directory: Path) -> Iterator[Checked]:
    """What the hashes cannot tell: that the arrays fit each other and are finite."""
    shape = None
    for part in PARTS:
        try:
            loaded = ModelPart.load(directory, part)
            shape = (len(loaded.user_ids), len(loaded.item_ids))
            yield Checked(f"{part}: {shape[0]:,} users, {shape[1]:,} items load", None)
        except (DataError, OSError, ValueError) as error:
            yield Checked(f"{part} factors", None, str(error))
    try:
        seen = load_seen(directory, shape or (0, 0))
        yield Checked(f"seen: {seen.nnz:,} interactions load", None)
    except (DataError, OSError, ValueError) as error:
        yield Checked("seen items", None, str(error))


def _strangers(registry: Registry, manifest: dict[str, Any], model_id: str) -> Iterator[Checked]:
    known = {MANIFEST, *(object_name(name, entry) for name, entry in manifest["files"].items())}
    for row in registry.objects.walk(f"models/{model_id}/"):
        name = row.key.removeprefix(f"models/{model_id}/")
        # Another run that made the same model may have left its own card beside that of the first.
        if name not in known and not is_judgement(name):
            yield Checked(name, row.size_bytes, "the manifest does not name it; nothing reads it")
