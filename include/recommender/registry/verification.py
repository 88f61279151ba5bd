"""Checking every file of a version."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, NotFound
from .bundle import MANIFEST, Manifest, ModelPart, is_judgement, served_config
from .registry import Registry
from .seen import Seen

PARTS = ("judged", "published")


@dataclass(frozen=True)
class CheckedFile:
    """One file, or one part of the model that consists of several files, and its problem, if any."""

    name: str
    size_bytes: int | None
    problem: str | None = None


@dataclass(frozen=True)
class Verification:
    """The result for every file of a version, then for its parts."""

    model_id: str
    files: list[CheckedFile]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(row.problem is None for row in self.files)


def verify_version(registry: Registry, model_id: str) -> Verification:
    """Download all files and check sizes, hashes, shapes, dtypes and finiteness; continue after a wrong one.

    Needs disk space for the whole bundle in the directory for temporary files. Raises NotFound.
    """
    manifest = registry.manifest(model_id)
    with tempfile.TemporaryDirectory(prefix="recommender-verify-") as directory:
        rows = [_fetched(registry, manifest, name, Path(directory)) for name in manifest.files]
        if all(row.problem is None for row in rows):
            rows += _loaded(Path(directory), manifest)
    return Verification(model_id, rows + list(_unexpected_objects(registry, manifest)))


def _fetched(registry: Registry, manifest: Manifest, name: str, directory: Path) -> CheckedFile:
    size = manifest.files[name].size_bytes
    try:
        registry.fetch_file(manifest, name, directory)
    except NotFound:
        return CheckedFile(name, size, "is not there")
    except DataError as error:
        return CheckedFile(name, size, str(error))
    return CheckedFile(name, size)


def _loaded(directory: Path, manifest: Manifest) -> Iterator[CheckedFile]:
    """Check what hashes do not show: the arrays match each other and are finite."""
    n_items = 0
    for part in PARTS:
        try:
            n_items = len(ModelPart.load(directory, part, served_config(manifest)).items)
            yield CheckedFile(f"{part}: {n_items:,} items load", None)
        except DataError as error:
            yield CheckedFile(f"{part} model", None, str(error))
    try:
        seen = Seen.load(directory, n_items)
        yield CheckedFile(f"seen: {len(seen.users):,} users, {len(seen.indices):,} interactions load", None)
    except DataError as error:
        yield CheckedFile("seen items", None, str(error))


def _unexpected_objects(registry: Registry, manifest: Manifest) -> Iterator[CheckedFile]:
    known = {MANIFEST, *(entry.stored_as for entry in manifest.files.values())}
    folder = f"models/{manifest.model_id}/"
    for row in registry.objects.walk(folder):
        name = row.key.removeprefix(folder)
        # Another run that made the same model may have left its own card beside that of the first.
        if name not in known and not is_judgement(name):
            yield CheckedFile(name, row.size_bytes, "the manifest does not name it; nothing reads it")
