"""Content-addressed stage outputs in S3, with a local cache.

``artifacts/<stage>/<fingerprint>/`` holds one stage's output: its files, in a folder named by the digest of their
content, and its manifest, written last. Without the manifest the artifact does not exist, so a killed process never
leaves a partial artifact. A second writer whose bytes differ (another processor rounds differently) writes into another
folder, never over files that a manifest lists.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from ..errors import DataError, NotFound, PreconditionFailed
from ..progress import Progress
from .cache import entry_path, mark_entry, used
from .digests import file_sha256, remember
from .disk import guarded
from .documents import Count, Origin, Sha256, checked, parse_json
from .objects import ObjectInfo, ObjectStore
from .plain_names import name_problem
from .scratch import scratch_directory

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
Counted = TypeVar("Counted", bound=msgspec.Struct)

LAYOUT = 3  # of keys and manifests; to be raised when they change

Stage = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
Fingerprint = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of an artifact."""

    size_bytes: Count
    sha256: Sha256


class ArtifactManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """manifest.json of an artifact. `checksum` is the SHA-256 of all its other fields, in canonical form."""

    stage: Stage
    fingerprint: Fingerprint
    files: dict[str, FileEntry]
    counts: dict[str, object]
    timings: dict[str, float]
    lineage: dict[str, object]
    checksum: Sha256

    def __post_init__(self) -> None:
        wrong = [problem for name in self.files if (problem := name_problem(name))]
        if wrong:
            raise ValueError(f"files: a name {'; a name '.join(wrong[:3])}, expected plain file names")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One immutable stage output, described by its manifest.

    `digest` covers the names and bytes of the files only; counts, timings and lineage are not part of it.
    """

    stage: str
    fingerprint: str
    uri: str
    files: dict[str, FileEntry]
    counts: dict[str, object] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    lineage: dict[str, object] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over the names and hashes of the files, in hexadecimal."""
        return canonical_hash({name: entry.sha256 for name, entry in self.files.items()})

    def counted(self, kind: type[Counted]) -> Counted:
        """The counts that other stages use, as a type. Raises DataError that names each wrong one."""
        return checked(self.counts, kind, Origin(f"{self.uri}/{MANIFEST}", "a manifest: its counts", REMEDY))

    def key(self, name: str) -> str:
        """Key of a file, relative to the root."""
        return f"artifacts/{self.stage}/{self.fingerprint}/{self.digest[:16]}/{name}"

    def entry(self, name: str) -> FileEntry:
        """The manifest's entry of a file. Raises DataError if there is none."""
        found = self.files.get(name)
        if found is None:
            raise DataError(f"{self.uri}/{MANIFEST}: names no file {ascii(name)[:80]}. {REMEDY}")
        return found


REMEDY = "Delete the folder; the next run makes it again."


def canonical_hash(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fingerprint(stage: str, code: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Identity of a stage's output: stage, the code it runs, its configuration, the digests of its inputs."""
    body = {"stage": stage, "code": code, "config": dict(config), "inputs": dict(inputs), "layout": LAYOUT}
    return canonical_hash(body)[:32]


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts of one root, cached below a local directory.

    counts : stage -> a msgspec.Struct of the counts that other stages rely on; checked when a manifest is read
    """

    objects: ObjectStore
    cache: Path
    counts: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)

    def find(self, stage: str, fingerprint: str) -> Artifact | None:
        """Return the artifact if it is complete. Raises DataError if its manifest has another stage or fingerprint."""
        folder = f"artifacts/{stage}/{fingerprint}"
        try:
            raw = self.objects.read(f"{folder}/{MANIFEST}")
        except NotFound:
            return None
        uri = self.objects.uri(folder)
        return read_manifest(raw, stage=stage, fingerprint=fingerprint, uri=uri, counts=self.counts.get(stage))

    def open(self, uri: str) -> Artifact:
        """Return the artifact at a URI that an earlier task returned.

        Raises
        ------
        NotFound
            There is no complete artifact at the URI.
        DataError
            The URI is not of an artifact below this root, or the manifest is damaged.
        """
        stage, mark = self._named(uri)
        found = self.find(stage, mark)
        if found is None:
            raise NotFound(f"{uri}: no finished artifact here. Clear the task {stage} and run it again.")
        return found

    def _named(self, uri: str) -> tuple[str, str]:
        root = self.objects.uri("artifacts/")
        parts = uri.removeprefix(root).split("/") if isinstance(uri, str) and uri.startswith(root) else []
        try:
            stage, mark = parts
            return msgspec.convert(stage, Stage), msgspec.convert(mark, Fingerprint)
        except (ValueError, msgspec.ValidationError):
            raise DataError(
                f"{ascii(uri)[:200]}: not an artifact of this deployment; expected {root}<stage>/<fingerprint>. Where "
                "RECOMMENDER_ROOT has changed since the run began, start a new run."
            ) from None

    @contextmanager
    def workdir(self, doing: str = "a step") -> Iterator[Path]:
        """A private directory on the disk of the cache, deleted afterwards.

        Raises
        ------
        ConfigError
            The disk refused a write; see `disk.guarded`. `doing` names the action in the message.
        """
        with (
            guarded(self.cache, doing),
            scratch_directory(self.cache) as path,
            guarded(self.cache, doing, written_in=path),
        ):
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

        The directory becomes the cached copy, so it is moved away. If two writers have one fingerprint, the first one's
        files are kept.

        Raises
        ------
        DataError
            The counts, timings or lineage hold NaN or an infinite number, which JSON does not know.
        """
        folder = f"artifacts/{stage}/{fingerprint}"
        names = sorted(path.name for path in directory.iterdir() if path.is_file())
        entries = {name: FileEntry((directory / name).stat().st_size, file_sha256(directory / name)) for name in names}
        uri = self.objects.uri(folder)
        raw = _manifest_bytes(stage, fingerprint, entries, uri, counts=counts, timings=timings, lineage=lineage)
        manifest = read_manifest(raw, stage=stage, fingerprint=fingerprint, uri=uri, counts=self.counts.get(stage))
        progress = Progress(
            log, f"Writing {folder}", max(1, sum(entry.size_bytes for entry in entries.values())), "bytes"
        )
        for name in names:
            self.objects.upload(directory / name, manifest.key(name))
            progress.add(entries[name].size_bytes)
        try:
            self.objects.write(f"{folder}/{MANIFEST}", raw, create_only=True)
        except PreconditionFailed:
            existing = self.find(stage, fingerprint)
            assert existing is not None
            return existing
        self._keep(manifest, directory)
        return manifest

    def _keep(self, artifact: Artifact, directory: Path) -> None:
        """Move the directory into the cache; copy it if that is another file system."""
        target = self._local(artifact)
        if target.exists():
            return
        doing = f"keeping the output of {artifact.stage}"
        with guarded(self.cache, doing):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                _publish(artifact, directory, target)
                return
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
        needed = sum(entry.size_bytes for entry in artifact.files.values())
        with self.workdir(doing) as work, guarded(self.cache, doing, needed):
            copy = work / "copy"
            shutil.copytree(directory, copy)
            _move_into_place(copy, target)

    def read_file(self, artifact: Artifact, name: str) -> bytes:
        """The verified bytes of one small file, past the cache. Raises NotFound, DataError."""
        key, entry = artifact.key(name), artifact.entry(name)
        data = self.objects.read(key)
        found = hashlib.sha256(data).hexdigest()
        if found != entry.sha256:
            raise DataError(f"{self.objects.uri(key)}: SHA-256 is {found}, the manifest says {entry.sha256}. {REMEDY}")
        return data

    def _local(self, artifact: Artifact) -> Path:
        return entry_path(self.cache, artifact.stage, artifact.digest[:32])

    def path(self, artifact: Artifact) -> Path:
        """Return a local directory with the verified files of the artifact.

        A file is hashed once a process, unless it changes (`digests`).

        Raises
        ------
        DataError
            The size or SHA-256 of a file differs from the manifest.
        ConfigError
            The disk is full, or may not be written to.
        """
        target = self._local(artifact)
        if not target.exists():
            self._fetch(artifact, target)
        used(target)
        wrong = _wrong_file(artifact, target)
        if wrong is not None:
            log.warning("The cached copy %s does not match its manifest; fetching it again", wrong)
            self._discard(target)
            self._fetch(artifact, target)
        return target

    def _discard(self, target: Path) -> None:
        """Rename the entry away, so that two processes that find the same damage do not collide; then delete it."""
        with self.workdir("removing a damaged copy") as work, suppress(FileNotFoundError):
            os.rename(target, work / "damaged")

    def _fetch(self, artifact: Artifact, target: Path) -> None:
        needed = sum(entry.size_bytes for entry in artifact.files.values())
        doing = f"fetching the output of {artifact.stage}"
        with self.workdir(doing) as work, guarded(self.cache, doing, needed):
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = work / "copy"
            copy.mkdir()
            for name, entry in artifact.files.items():
                key = artifact.key(name)
                etag = self.objects.head(key)
                if etag.size_bytes != entry.size_bytes:
                    raise DataError(
                        f"{self.objects.uri(key)}: {etag.size_bytes} bytes, the manifest has {entry.size_bytes}. "
                        f"The artifact is corrupt: delete {artifact.uri}/ and run again."
                    )
                self.objects.download(ObjectInfo(key, etag.size_bytes, etag.etag), copy / name, sha256=entry.sha256)
            _publish(artifact, copy, target)


def read_manifest(
    raw: bytes, stage: str, fingerprint: str, uri: str, counts: type[msgspec.Struct] | None = None
) -> Artifact:
    """Parse a manifest and check it against the requested stage, fingerprint and URI. No other code does so.

    Parameters
    ----------
    uri : of the artifact's folder
    counts : type of the counts that other stages use

    Raises
    ------
    DataError
        The message names every wrong field.
    """
    where = f"{uri}/{MANIFEST}"
    body = parse_json(raw, where, REMEDY)
    origin = Origin(where, "a manifest", REMEDY)
    found = checked(body, ArtifactManifest, origin)
    problems = [
        f"{name} is {have!a}, expected {want!a}"
        for name, have, want in (
            ("stage", found.stage, stage),
            ("fingerprint", found.fingerprint, fingerprint),
            ("checksum", found.checksum, _checksum(body)),
        )
        if have != want
    ]
    if problems:
        raise origin.refusal(problems)
    if counts is not None:
        checked(found.counts, counts, Origin(where, "a manifest: its counts", REMEDY))
    return Artifact(
        stage=stage,
        fingerprint=fingerprint,
        uri=uri,
        files=found.files,
        counts=found.counts,
        timings=found.timings,
        lineage=found.lineage,
    )


def _manifest_bytes(
    stage: str,
    fingerprint: str,
    files: Mapping[str, FileEntry],
    uri: str,
    **details: Mapping[str, Any],
) -> bytes:
    """The stored bytes of a manifest. `details` are counts, timings and lineage."""
    body = {"stage": stage, "fingerprint": fingerprint, "files": msgspec.to_builtins(dict(files)), **details}
    try:
        plain = json.loads(json.dumps(body, allow_nan=False))
    except ValueError as error:
        raise DataError(
            f"{uri}: counts, timings or lineage of {stage} hold a number that is not finite ({error}). Look at its "
            "input: such numbers come from reviews or parameters out of all bounds."
        ) from error
    return json.dumps({**plain, "checksum": _checksum(plain)}, indent=1, sort_keys=True).encode()


def _checksum(body: Mapping[str, Any]) -> str:
    return canonical_hash({name: value for name, value in body.items() if name != "checksum"})


def _wrong_file(artifact: Artifact, directory: Path) -> Path | None:
    """The first file whose size or hash differs from the manifest; None if all match."""
    for name, entry in artifact.files.items():
        file = directory / name
        if not file.exists() or file.stat().st_size != entry.size_bytes or file_sha256(file) != entry.sha256:
            return file
    return None


def _publish(artifact: Artifact, source: Path, target: Path) -> None:
    """Rename a private directory with the verified files of an artifact into the cache."""
    mark_entry(source)
    remember({source / name: entry.sha256 for name, entry in artifact.files.items()})
    _move_into_place(source, target)


def _move_into_place(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError:
        if not target.exists():
            raise
