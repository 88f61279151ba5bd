"""Content-addressed stage outputs in S3, with a local cache.

``artifacts/<stage>/<fingerprint>/`` holds one stage's output: its files, in a folder named by the digest of their
content, and its manifest, written last. Without the manifest the artifact does not exist, so a process killed at any
moment leaves nothing that can be read by half. And a second writer whose bytes differ (another processor rounds
differently) writes into another folder, never over files that a manifest vouches for.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError, NotFound, PreconditionFailed
from .cache import used
from .objects import ObjectInfo, ObjectStore, file_sha256
from .scratch import scratch_directory

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LAYOUT = 2  # of keys; to be raised when they change


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Artifact:
    """One immutable stage output, as its manifest describes it.

    `digest` covers the names and bytes of the files only; counts, timings and lineage are told, not hashed.
    """

    stage: str
    fingerprint: str
    uri: str
    files: dict[str, FileEntry]
    counts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over the names and hashes of the files, in hexadecimal."""
        return canonical_hash({name: entry.sha256 for name, entry in self.files.items()})

    def key(self, name: str) -> str:
        """Where a file is, relative to the root."""
        return f"artifacts/{self.stage}/{self.fingerprint}/{self.digest[:16]}/{name}"


def _plain(name: str) -> str:
    """A file name that stays within its directory. Raises ValueError."""
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise ValueError(f"the file name {name!r}")
    return name


def canonical_hash(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fingerprint(stage: str, version: int, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Identity of a stage's output: stage, its code version, its configuration, the digests of its inputs."""
    body = {"stage": stage, "version": version, "config": dict(config), "inputs": dict(inputs), "layout": LAYOUT}
    return canonical_hash(body)[:32]


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts of one root, cached below a local directory."""

    objects: ObjectStore
    cache: Path

    def find(self, stage: str, fingerprint: str) -> Artifact | None:
        """The artifact, if it was finished."""
        folder = f"artifacts/{stage}/{fingerprint}"
        try:
            raw = self.objects.read(f"{folder}/{MANIFEST}")
        except NotFound:
            return None
        return self._from_manifest(raw, folder)

    def open(self, uri: str) -> Artifact:
        """The artifact at an URI that an earlier task handed on. Raises NotFound."""
        stage, mark = uri.rstrip("/").split("/")[-2:]
        found = self.find(stage, mark)
        if found is None:
            raise NotFound(f"{uri}: no finished artifact here. Clear the task {stage} and run it again.")
        return found

    def _from_manifest(self, raw: bytes, folder: str) -> Artifact:
        try:
            body = json.loads(raw)
            files = {_plain(name): FileEntry(**entry) for name, entry in body["files"].items()}
            return Artifact(**{**body, "files": files, "uri": self.objects.uri(folder)})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.objects.uri(folder)}/{MANIFEST}: not a manifest ({error}). Delete the folder; the next run "
                "makes it again."
            ) from error

    @contextmanager
    def workdir(self) -> Iterator[Path]:
        """A private directory on the cache's disk that goes away afterwards."""
        with scratch_directory(self.cache, ".work-") as path:
            yield path

    def commit(
        self,
        stage: str,
        fingerprint: str,
        directory: Path,
        *,
        counts: Mapping[str, Any],
        timings: Mapping[str, float],
        lineage: Mapping[str, Any],
    ) -> Artifact:
        """Publish the files of a directory as an artifact, manifest last.

        Of two writers of one fingerprint the second keeps what the first wrote.
        """
        folder = f"artifacts/{stage}/{fingerprint}"
        names = sorted(path.name for path in directory.iterdir() if path.is_file())
        entries = {name: FileEntry((directory / name).stat().st_size, file_sha256(directory / name)) for name in names}
        made = Artifact(
            stage, fingerprint, self.objects.uri(folder), entries, dict(counts), dict(timings), dict(lineage)
        )
        for name in names:
            self.objects.upload(directory / name, made.key(name))
        body = {key: value for key, value in asdict(made).items() if key != "uri"}
        try:
            self.objects.write(
                f"{folder}/{MANIFEST}", json.dumps(body, indent=1, sort_keys=True).encode(), create_only=True
            )
        except PreconditionFailed:
            existing = self.find(stage, fingerprint)
            assert existing is not None
            return existing
        self._keep(made, directory)
        return made

    def _keep(self, artifact: Artifact, directory: Path) -> None:
        target = self._local(artifact)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.workdir() as work:
            copy = work / "copy"
            shutil.copytree(directory, copy)
            _move_into_place(copy, target)

    def _local(self, artifact: Artifact) -> Path:
        return self.cache / artifact.stage / artifact.digest[:32]

    def path(self, artifact: Artifact) -> Path:
        """A local directory with the verified files of the artifact.

        Raises
        ------
        DataError
            Naming the file whose size or SHA-256 differs from the manifest.
        """
        target = self._local(artifact)
        if not target.exists():
            self._fetch(artifact, target)
        used(target)
        for name, entry in artifact.files.items():
            file = target / name
            if not file.exists() or file.stat().st_size != entry.size_bytes or file_sha256(file) != entry.sha256:
                log.warning("The cached copy %s does not match its manifest; fetching it again", file)
                self._discard(target)
                self._fetch(artifact, target)
                break
        return target

    def _discard(self, target: Path) -> None:
        """Out of the way in one step, so that two processes that find the same damage do not meet in it."""
        with self.workdir() as work, suppress(FileNotFoundError):
            os.rename(target, work / "damaged")

    def _fetch(self, artifact: Artifact, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.workdir() as work:
            copy = work / "copy"
            copy.mkdir()
            for name, entry in artifact.files.items():
                key = artifact.key(name)
                etag = self.objects.head(key)
                if etag.size_bytes != entry.size_bytes:
                    raise DataError(
                        f"{self.objects.uri(key)}: {etag.size_bytes} bytes, the manifest says {entry.size_bytes}. "
                        f"The artifact is corrupt: delete {artifact.uri}/ and run again."
                    )
                self.objects.download(ObjectInfo(key, etag.size_bytes, etag.etag), copy / name, sha256=entry.sha256)
            _move_into_place(copy, target)


def _move_into_place(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError:
        if not target.exists():
            raise
