"""Model versions in S3: create-only bundles, the manifest last."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from ..errors import ConfigError, DataError, NotFound, PreconditionFailed
from ..progress import Progress
from ..storage.digests import file_sha256
from ..storage.documents import Instant
from ..storage.objects import ObjectStore
from .bundle import JUDGEMENT, MANIFEST, BundleFile, Manifest, read_manifest
from .moves import one_line
from .parallel import read_each
from .sealed import PLAIN, read_document, write_document

log = logging.getLogger(__name__)


class Tombstone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The record of a retired version: when, by whom, and its manifest."""

    retired_at: Instant
    who: str
    manifest: Manifest


@dataclass(frozen=True)
class Versions:
    """Model versions below `models/`; one without a manifest does not exist."""

    objects: ObjectStore

    def versions(self) -> list[str]:
        """Return the ids of all complete versions, ordered by the date of their newest review."""
        keys = (row.key.split("/") for row in self.objects.walk("models/"))
        return [parts[1] for parts in keys if len(parts) == 3 and parts[2] == MANIFEST]

    def manifest(self, model_id: str) -> Manifest:
        """Return the manifest of a version. Raises DataError; NotFound, with the date if it was retired."""
        _require_plain(model_id)
        key = manifest_key(model_id)
        try:
            return read_manifest(self.objects.read(key), self.objects.uri(key), model_id)
        except NotFound as error:
            gone = self.tombstone(model_id)
            where = self.objects.uri(f"models/{model_id}")
            if gone is None:
                raise NotFound(f"{where}: there is no such version. The command `list` names them all.") from error
            raise NotFound(f"{where}: was retired at {gone.retired_at.isoformat()} by {one_line(gone.who)}") from error

    def manifests(self, model_ids: Iterable[str]) -> dict[str, Manifest | DataError]:
        """Read many manifests at once; the value is a DataError for an unreadable one. Missing ones are left out."""
        keys = {name: manifest_key(name) for name in model_ids}
        raws = zip(keys, read_each(self.objects, keys.values()), strict=True)
        return {name: self._read(raw, name) for name, raw in raws if raw is not None}

    def _read(self, raw: bytes, model_id: str) -> Manifest | DataError:
        try:
            return read_manifest(raw, self.objects.uri(manifest_key(model_id)), model_id)
        except DataError as error:
            return error

    def tombstone(self, model_id: str) -> Tombstone | None:
        """Return the record of a retired version. Raises DataError if it is damaged."""
        key = tombstone_key(model_id)
        try:
            raw = self.objects.read(key)
        except NotFound:
            return None
        where = self.objects.uri(key)
        found = read_document(raw, Tombstone, where, "Restore it from the bucket's versions, or delete it.")
        if found.manifest.model_id != model_id:
            raise DataError(f"{where}: is what is kept of {found.manifest.model_id}, which was copied here. Delete it.")
        return found

    def publish(self, directory: Path, manifest: Manifest) -> bool:
        """Write a version, manifest last; return False if it already exists.

        Files of a killed upload stay if they are the same, and files that a version has lost are restored. Every write
        is create-only, so a policy of the bucket may demand that.
        Two runs of one model store their texts under different names; the first manifest lists those of its run.

        Raises
        ------
        DataError
            The id or a file of it exists with other content.
        """
        model_id = manifest.model_id
        existing = self.manifests([model_id]).get(model_id)
        if existing is None:
            size = sum(entry.size_bytes for entry in manifest.files.values())
            progress = Progress(log, f"Writing {model_id}", max(1, size), "bytes")
            for name, entry in manifest.files.items():
                self._upload(directory / name, model_id, entry)
                progress.add(entry.size_bytes)
            try:
                self.objects.write(manifest_key(model_id), write_document(manifest), create_only=True)
                return True
            except PreconditionFailed:
                existing = self.manifest(model_id)
        if isinstance(existing, DataError):
            raise existing
        if _model_files(existing) != _model_files(manifest):
            raise DataError(
                f"{self.objects.uri(f'models/{model_id}')}: exists with other content than this run made. Versions are "
                "immutable: something outside this project wrote there, or libraries differ between two runs."
            )
        self._restore(directory, manifest, existing)
        return False

    def _restore(self, directory: Path, rebuilt: Manifest, existing: Manifest) -> None:
        """Restore the files that a version has lost, from those of this run."""
        for name in self.wrong_files(existing):
            if rebuilt.files.get(name) == existing.files[name]:
                log.warning("%s had lost its %s; it is written again", existing.model_id, name)
                self._upload(directory / name, existing.model_id, existing.files[name])

    def _upload(self, path: Path, model_id: str, entry: BundleFile) -> None:
        """Write a file where there is none; one that is there must be the same. Raises DataError."""
        key = file_key(model_id, entry)
        try:
            self.objects.upload(path, key, create_only=True)
        except PreconditionFailed:
            self._require_same(key, entry)

    def _require_same(self, key: str, entry: BundleFile) -> None:
        """Raise DataError where an object has another size or SHA-256."""
        info = self.objects.head(key)
        if info.size_bytes == entry.size_bytes:
            with tempfile.TemporaryDirectory(prefix="recommender-verify-") as directory:
                self.objects.download(info, Path(directory) / "same", sha256=entry.sha256)
            return
        raise DataError(
            f"{self.objects.uri(key)}: {info.size_bytes:,} bytes, this run made {entry.size_bytes:,}. Files of "
            "versions are never overwritten: delete it, then clear upload_model."
        )

    def wrong_files(self, manifest: Manifest) -> dict[str, str]:
        """Return file -> problem, for files that are missing or have another size. It lists, and reads no file."""
        folder = f"models/{manifest.model_id}/"
        sizes = {row.key: row.size_bytes for row in self.objects.walk(folder)}
        problems = {}
        for name, entry in manifest.files.items():
            key = file_key(manifest.model_id, entry)
            if key not in sizes:
                problems[name] = f"{self.objects.uri(key)}: is not there, expected {entry.size_bytes:,} bytes"
            elif sizes[key] != entry.size_bytes:
                problems[name] = f"{self.objects.uri(key)}: {sizes[key]:,} bytes, expected {entry.size_bytes:,}"
        return problems

    def whole(self, model_id: str, *, verify: bool = False) -> Manifest:
        """Return the manifest of a version after a check that every file exists.

        Parameters
        ----------
        verify : also read every file and compare its SHA-256; needs disk for the largest of them

        Raises
        ------
        NotFound
            There is no such version.
        DataError
            The message names every file that is missing or has the wrong size, or the first with wrong content.
        """
        manifest = self.manifest(model_id)
        problems = self.wrong_files(manifest)
        if problems:
            raise DataError("\n".join(problems.values()))
        if verify:
            with tempfile.TemporaryDirectory(prefix="recommender-verify-") as directory:
                for name in manifest.files:
                    self.fetch_file(manifest, name, Path(directory)).unlink()
        return manifest

    def fetch(self, model_id: str, directory: Path, only: Collection[str] = ()) -> Manifest:
        """Download the files of a version and verify them; correct local files are kept. Return the manifest.

        Parameters
        ----------
        only : beginnings of the names of the files that are needed; empty is all

        Raises
        ------
        DataError
            The size or SHA-256 of a file is wrong.
        """
        manifest = self.manifest(model_id)
        for name in manifest.files:
            if wanted(name, only):
                self.fetch_file(manifest, name, directory)
        return manifest

    def fetch_file(self, manifest: Manifest, name: str, directory: Path) -> Path:
        """Download and verify one file of a version; see `fetch`."""
        entry, path = self._entry(manifest, name), directory / name
        if path.exists() and file_sha256(path) == entry.sha256:
            return path
        info = self.objects.head(file_key(manifest.model_id, entry))
        if info.size_bytes != entry.size_bytes:
            raise DataError(
                f"{self.objects.uri(info.key)}: {info.size_bytes} bytes, the manifest has {entry.size_bytes}. "
                "The bundle is corrupt: roll the channel back to another version."
            )
        try:
            self.objects.download(info, path, sha256=entry.sha256)
        except OSError as error:
            raise ConfigError(
                f"Cannot write {path}: {error.strerror}. Free some space there, or set TMPDIR."
            ) from error
        return path

    def read_file(self, manifest: Manifest, name: str) -> bytes:
        """Return the verified bytes of one small file. Raises DataError."""
        entry = self._entry(manifest, name)
        key = file_key(manifest.model_id, entry)
        data = self.objects.read(key)
        found = sha256(data).hexdigest()
        if found != entry.sha256:
            raise DataError(f"{self.objects.uri(key)}: SHA-256 is {found}, the manifest has {entry.sha256}")
        return data

    def _entry(self, manifest: Manifest, name: str) -> BundleFile:
        entry = manifest.files.get(name)
        if entry is None:
            raise NotFound(f"{self.objects.uri(manifest_key(manifest.model_id))}: names no file {name}")
        return entry


def wanted(name: str, only: Collection[str]) -> bool:
    """Whether the name of a file begins with one of `only`; if that is empty, every name is wanted."""
    return not only or name.startswith(tuple(only))


def _model_files(manifest: Manifest) -> dict[str, BundleFile]:
    return {name: entry for name, entry in manifest.files.items() if name not in JUDGEMENT}


def _require_plain(model_id: str) -> None:
    if not re.search(PLAIN, model_id):
        raise NotFound(f"{model_id!r}: no version has such a name. The command `list` names them all.")


def file_key(model_id: str, entry: BundleFile) -> str:
    """Key of a file of a version."""
    return f"models/{model_id}/{entry.stored_as}"


def manifest_key(model_id: str) -> str:
    """Key of the manifest of a version."""
    return f"models/{model_id}/{MANIFEST}"


def tombstone_key(model_id: str) -> str:
    """Key of the record of a retired version."""
    return f"retired/{model_id}.json"
