"""Model versions in S3: create-only bundles, the manifest last."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, NotFound, PreconditionFailed
from ..storage.objects import ObjectStore, file_sha256
from .bundle import MANIFEST, read_manifest
from .channels import Channels, ChannelState, Move

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registry:
    """Model versions below `models/`, channels below `channels/`."""

    objects: ObjectStore

    def versions(self) -> list[str]:
        """Ids of all complete versions, by as_of date."""
        return [name for name in self.objects.folders("models/") if self.objects.exists(f"models/{name}/{MANIFEST}")]

    def manifest(self, model_id: str) -> dict[str, Any]:
        """A version's manifest. Raises NotFound."""
        key = f"models/{model_id}/{MANIFEST}"
        return read_manifest(self.objects.read(key), self.objects.uri(key))

    def publish(self, model_id: str, directory: Path, manifest: dict[str, Any]) -> bool:
        """Write a version, manifest last; return False when it was there already.

        Files of a version that a killed run left behind are overwritten with the same bytes.

        Raises
        ------
        DataError
            The id exists with other content.
        """
        try:
            existing = self.manifest(model_id)
        except NotFound:
            existing = None
        if existing is None:
            for name in manifest["files"]:
                self.objects.upload(directory / name, f"models/{model_id}/{name}")
            body = json.dumps(manifest, indent=1, sort_keys=True).encode()
            try:
                self.objects.write(f"models/{model_id}/{MANIFEST}", body, create_only=True)
                return True
            except PreconditionFailed:
                existing = self.manifest(model_id)
        factors = {name: entry for name, entry in manifest["files"].items() if not name.endswith(".md")}
        if any(existing["files"].get(name) != entry for name, entry in factors.items()):
            raise DataError(
                f"{self.objects.uri(f'models/{model_id}')}: exists with other content than this run made. Versions are "
                "immutable: something outside this project wrote there, or libraries differ between two runs."
            )
        return False

    def fetch(self, model_id: str, directory: Path) -> dict[str, Any]:
        """A version's verified files into a directory (files that are there and right are kept); return the manifest.

        Raises
        ------
        DataError
            Naming the file whose size or SHA-256 is wrong.
        """
        manifest = self.manifest(model_id)
        for name, entry in manifest["files"].items():
            path = directory / name
            if path.exists() and file_sha256(path) == entry["sha256"]:
                continue
            info = self.objects.head(f"models/{model_id}/{name}")
            if info.size_bytes != entry["size_bytes"]:
                raise DataError(
                    f"{self.objects.uri(info.key)}: {info.size_bytes} bytes, the manifest says {entry['size_bytes']}. "
                    "The bundle is corrupt: roll the channel back to another version."
                )
            self.objects.download(info, path, sha256=entry["sha256"])
        return manifest

    @property
    def channels(self) -> Channels:
        """The mutable pointers to versions."""
        return Channels(self.objects)

    def promote(self, move: Move, seen: ChannelState | None) -> ChannelState:
        """Move a channel to a version that exists; see `Channels.move`. Raises also NotFound."""
        self.manifest(move.to_model)
        return self.channels.move(move, seen)
