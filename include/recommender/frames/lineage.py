"""The artifacts that a version was made from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import NotFound
from ..registry.bundle import Manifest
from ..registry.registry import Registry
from ..storage.artifacts import Artifact, ArtifactStore


@dataclass(frozen=True)
class Lineage:
    """A version's artifacts, of which only manifests and small files are read."""

    registry: Registry
    manifest: Manifest

    @property
    def store(self) -> ArtifactStore:
        """The artifacts of the registry's root; nothing is cached, so the cache is no folder."""
        return ArtifactStore(self.registry.objects, Path(os.devnull))

    def artifact(self, stage: str) -> Artifact:
        """The artifact of a stage. Raises NotFound where it was deleted, DataError where it is damaged."""
        uri = self.manifest.lineage.get(stage)
        if uri is None:
            raise NotFound(f"{self.manifest.model_id}: its lineage names no artifact of {stage}")
        return self.store.open(uri)
