"""Model versions in S3: create-only bundles, the manifest last."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import DataError, NotFound, PreconditionFailed
from ..storage.documents import parse_json
from ..storage.objects import ObjectStore, file_sha256
from .bundle import JUDGEMENT, MANIFEST, object_name, read_manifest
from .parallel import read_each

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Versions:
    """Model versions below `models/`; one without a manifest does not exist."""

    objects: ObjectStore

    def versions(self) -> list[str]:
        """Ids of all complete versions, by as_of date."""
        keys = (row.key.split("/") for row in self.objects.walk("models/"))
        return [parts[1] for parts in keys if len(parts) == 3 and parts[2] == MANIFEST]

    def manifest(self, model_id: str) -> dict[str, Any]:
        """A version's manifest. Raises NotFound, saying when it was retired if it was."""
        key = manifest_key(model_id)
        try:
            return read_manifest(self.objects.read(key), self.objects.uri(key))
        except NotFound as error:
            gone = self.tombstone(model_id)
            where = self.objects.uri(f"models/{model_id}")
            if gone is None:
                raise NotFound(f"{where}: there is no such version. The command `list` names them all.") from error
            raise NotFound(f"{where}: was retired at {gone['retired_at']} by {gone['who']}") from error

    def manifests(self, model_ids: Iterable[str]) -> dict[str, dict[str, Any] | DataError]:
        """Manifests of many versions at once: what is wrong with it for one that cannot be read; none for one gone."""
        keys = {name: manifest_key(name) for name in model_ids}
        raws = zip(keys, read_each(self.objects, keys.values()), strict=True)
        return {name: self._read(raw, keys[name]) for name, raw in raws if raw is not None}

    def _read(self, raw: bytes, key: str) -> dict[str, Any] | DataError:
        try:
            return read_manifest(raw, self.objects.uri(key))
        except DataError as error:
            return error

    def tombstone(self, model_id: str) -> dict[str, Any] | None:
        """What is kept of a retired version: `retired_at`, `who`, and its `manifest`."""
        where = self.objects.uri(tombstone_key(model_id))
        remedy = "Delete it: the version stays retired."
        try:
            body: dict[str, Any] = parse_json(self.objects.read(tombstone_key(model_id)), where, remedy)
        except NotFound:
            return None
        told = isinstance(body, dict) and isinstance(body.get("retired_at"), str) and isinstance(body.get("who"), str)
        if not told or body.keys() != {"retired_at", "who", "manifest"}:
            raise DataError(f"{where}: not the record of a retired version. {remedy}")
        read_manifest(json.dumps(body["manifest"]).encode(), where)
        return body

    def publish(self, model_id: str, directory: Path, manifest: dict[str, Any]) -> bool:
        """Write a version, manifest last; return False when it was there already.

        Files of a version that a killed run left behind are overwritten with the same bytes. What two runs say of one
        model lies under different names, and the manifest that came first names its own.

        Raises
        ------
        DataError
            The id exists with other content.
        """
        existing = self.manifests([model_id]).get(model_id)
        if existing is None:
            for name, entry in manifest["files"].items():
                self.objects.upload(directory / name, file_key(model_id, name, entry))
            body = json.dumps(manifest, indent=1, sort_keys=True).encode()
            try:
                self.objects.write(manifest_key(model_id), body, create_only=True)
                return True
            except PreconditionFailed:
                existing = self.manifest(model_id)
        if isinstance(existing, DataError):
            raise existing
        model = {name: entry for name, entry in manifest["files"].items() if name not in JUDGEMENT}
        if any(existing["files"].get(name) != entry for name, entry in model.items()):
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
        for name in manifest["files"]:
            self.fetch_file(manifest, model_id, name, directory)
        return manifest

    def fetch_file(self, manifest: dict[str, Any], model_id: str, name: str, directory: Path) -> Path:
        """One verified file of a version into a directory; see `fetch`."""
        entry, path = self._entry(manifest, model_id, name), directory / name
        if path.exists() and file_sha256(path) == entry["sha256"]:
            return path
        info = self.objects.head(file_key(model_id, name, entry))
        if info.size_bytes != entry["size_bytes"]:
            raise DataError(
                f"{self.objects.uri(info.key)}: {info.size_bytes} bytes, the manifest says {entry['size_bytes']}. "
                "The bundle is corrupt: roll the channel back to another version."
            )
        self.objects.download(info, path, sha256=entry["sha256"])
        return path

    def read_file(self, manifest: dict[str, Any], model_id: str, name: str) -> bytes:
        """The verified bytes of one small file of a version. Raises DataError."""
        entry = self._entry(manifest, model_id, name)
        key = file_key(model_id, name, entry)
        data = self.objects.read(key)
        found = sha256(data).hexdigest()
        if found != entry["sha256"]:
            raise DataError(f"{self.objects.uri(key)}: SHA-256 is {found}, the manifest says {entry['sha256']}")
        return data

    def _entry(self, manifest: dict[str, Any], model_id: str, name: str) -> dict[str, Any]:
        entry: dict[str, Any] | None = manifest["files"].get(name)
        if entry is None:
            raise NotFound(f"{self.objects.uri(manifest_key(model_id))}: names no file {name}")
        return entry


def file_key(model_id: str, name: str, entry: dict[str, Any]) -> str:
    """Where a file of a version is."""
    return f"models/{model_id}/{object_name(name, entry)}"


def manifest_key(model_id: str) -> str:
    """Where a version's manifest is."""
    return f"models/{model_id}/{MANIFEST}"


def tombstone_key(model_id: str) -> str:
    """Where a retired version's manifest is kept."""
    return f"retired/{model_id}.json"
