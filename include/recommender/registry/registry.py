"""Versions and channels in S3: create-only bundles, pointers moved by compare-and-swap, an append-only history."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError, NotFound, PreconditionFailed
from ..storage.objects import ObjectStore, file_sha256
from .bundle import MANIFEST, read_manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChannelState:
    """Where a channel points, and the ETag that the next move has to match."""

    model_id: str
    as_of: str
    etag: str


@dataclass(frozen=True)
class Move:
    """One movement of a channel."""

    channel: str
    moved_at: str
    from_model: str | None
    to_model: str
    as_of: str
    who: str
    why: str
    verdict: str


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

    def channel(self, name: str) -> ChannelState | None:
        """Where a channel points, or None when it points nowhere yet."""
        key = f"channels/{name}.json"
        try:
            raw, etag = self.objects.read_tagged(key)
        except NotFound:
            return None
        try:
            body = json.loads(raw)
            return ChannelState(body["model_id"], body["as_of"], etag)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.objects.uri(key)}: not a channel ({error}); restore it from its history") from error

    def promote(self, move: Move, seen: ChannelState | None) -> ChannelState:
        """Move a channel from the state that was seen, and append to its history.

        Raises
        ------
        NotFound
            There is no such version.
        ConfigError
            The store ignores conditional writes.
        PreconditionFailed
            Somebody moved the channel meanwhile; nothing was changed.
        """
        self.manifest(move.to_model)
        self.probe()
        key = f"channels/{move.channel}.json"
        body = json.dumps({"model_id": move.to_model, "as_of": move.as_of}, sort_keys=True).encode()
        etag = self.objects.write(key, body, create_only=seen is None, if_match=seen.etag if seen else None)
        entry = f"channels/{move.channel}/history/{move.moved_at}-{uuid.uuid4().hex[:8]}.json"
        self.objects.write(entry, json.dumps(asdict(move), indent=1, sort_keys=True).encode(), create_only=True)
        return ChannelState(move.to_model, move.as_of, etag)

    def history(self, channel: str) -> list[Move]:
        """All movements of a channel, oldest first."""
        rows = self.objects.walk(f"channels/{channel}/history/")
        return [Move(**json.loads(self.objects.read(row.key))) for row in rows]

    def probe(self) -> None:
        """Raise ConfigError when the store does not honour conditional writes."""
        key = "channels/.probe"
        self.objects.write(key, b"probe")
        try:
            self.objects.write(key, b"probe", create_only=True)
        except PreconditionFailed:
            return
        raise ConfigError(
            f"{self.objects.uri(key)}: the store ignores If-None-Match, so two promotions could overwrite each other. "
            "Nothing is promoted there. Use a store with conditional writes (Amazon S3 has them)."
        )
