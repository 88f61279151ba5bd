"""Snapshots in the local S3: the generated samples, or the user's own review files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from deploy.stack import BUCKET
from include.recommender.data.file_names import UNFINISHED
from include.recommender.errors import DataError
from include.recommender.plain_text import shown
from include.recommender.storage.digests import file_sha256
from include.recommender.storage.objects import ObjectInfo, ObjectStore
from samples import generated as samples
from samples import world

from .given import Given, find
from .home import say
from .object_names import object_names

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SAMPLES_PREFIX, MARKER = "samples", "generated-by.txt"
# Beside the folder of snapshots, so that no run takes it for a file of one.
INDEX = "uploads.json"
INDEX_EVERY = 200
FEW_FILES = 20
PROGRESS_EVERY_S = 5.0


@dataclass(frozen=True)
class Source:
    """Where a run reads its snapshots: root (an S3 URI) and the newest snapshot's date."""

    root: str
    newest: str


def put_samples(s3: S3Client) -> Source:
    """Put all generated snapshots, unless those of this very code are there already."""
    root, code = ObjectStore(s3, BUCKET, SAMPLES_PREFIX), _code_digest()
    dates = [day.isoformat() for day in samples.snapshot_dates()]
    source = Source(root.uri("").rstrip("/"), dates[-1])
    if root.exists(MARKER) and root.read(MARKER) == code:
        say(f"{len(dates)} generated snapshots are there: {source.root}/snapshots/", "samples")
        return source
    say(f"Generating {len(dates)} sample snapshots, {dates[0]} to {dates[-1]} (no real reviews) ...", "samples")
    for day, packed in samples.snapshots():
        root.write(f"snapshots/{day.isoformat()}/{samples.FILE_NAME}", packed)
    root.write(MARKER, code)
    say(f"{len(dates)} generated snapshots put: {source.root}/snapshots/", "samples")
    return source


def find_reviews(wanted: str) -> list[Given]:
    """The files that REVIEWS means; see `given.find`. Raises ConfigError."""
    return find(wanted, "REVIEWS")


class Entry(msgspec.Struct, frozen=True):
    """One uploaded file: what it was on disk, and the ETag that the store gave it."""

    sha256: str
    size_bytes: int
    etag: str


class Index(msgspec.Struct, frozen=True):
    """What the newest snapshot holds, by object name, so that nobody has to ask for each object."""

    snapshot: str
    files: dict[str, Entry]


@dataclass(frozen=True)
class _Local:
    """A file to upload, as it was when its digest was taken."""

    file: Given
    size_bytes: int
    modified_ns: int
    sha256: str


def put_reviews(s3: S3Client, files: Sequence[Given]) -> Source:
    """Put the user's files as a snapshot of today, unless the newest snapshot holds the same bytes.

    They get a root of their own, so that no champion of other data judges them. While files are put, the snapshot
    holds a mark with which no run reads it, so an upload that was killed is never taken for a whole snapshot.

    Raises
    ------
    RecommenderError
        A file changed or went away meanwhile, or the store failed.
    """
    root = ObjectStore(s3, BUCKET, reviews_prefix(files))
    snapshots, wanted = root.under("snapshots"), {name: _look(file) for name, file in object_names(files).items()}
    _warn_of_copies(wanted)
    newest = max(snapshots.folders(), default=None)
    held = _held(root, snapshots, newest)
    if newest and held == {name: local.sha256 for name, local in wanted.items()}:
        say(f"{len(held)} of {len(files)} given are there, with the same bytes: {snapshots.uri(newest)}/", "reviews")
        return Source(root.uri("").rstrip("/"), newest)
    today = datetime.now(UTC).date().isoformat()
    _put(root, today, wanted, held if newest == today else {})
    if newest and newest != today and snapshots.exists(f"{newest}/{UNFINISHED}"):
        say(f"Removing what an interrupted upload left of snapshot {newest}", "reviews")
        snapshots.delete(sorted((row.key for row in snapshots.walk(f"{newest}/")), key=_mark_last))
    return Source(root.uri("").rstrip("/"), today)


def reviews_prefix(files: Sequence[Given]) -> str:
    """The prefix of the root of these files: the same paths have the same one."""
    paths = sorted(os.fsencode(file.path) for file in files)
    return f"reviews-{hashlib.sha256(bytes(1).join(paths)).hexdigest()[:10]}"


def snapshot_dates(s3: S3Client, prefix: str) -> list[str]:
    """Dates of the snapshots of a root, oldest first."""
    return ObjectStore(s3, BUCKET, prefix).folders("snapshots/")


def _mark_last(key: str) -> tuple[bool, str]:
    return key.endswith(f"/{UNFINISHED}"), key


def _look(file: Given) -> _Local:
    try:
        about = file.path.stat()
        return _Local(file, about.st_size, about.st_mtime_ns, file_sha256(file.path))
    except OSError as error:
        raise DataError(f"{shown(str(file.path))}: cannot be read: {error.strerror}") from error


def _warn_of_copies(wanted: Mapping[str, _Local]) -> None:
    by_digest: dict[str, list[str]] = {}
    for local in wanted.values():
        by_digest.setdefault(local.sha256, []).append(shown(local.file.name))
    for names in by_digest.values():
        if len(names) > 1:
            say(f"WARNING: the same bytes in {len(names)} files, all of them read: {', '.join(names[:10])}", "reviews")


def _held(root: ObjectStore, snapshots: ObjectStore, newest: str | None) -> dict[str, str]:
    """Name -> SHA-256 of what the newest snapshot holds; other objects have an empty one, and nobody trusts theirs."""
    if newest is None:
        return {}
    known = read_index(root)
    files = known.files if known and known.snapshot == newest else {}
    held = {}
    for row in snapshots.walk(f"{newest}/"):
        name = row.key.removeprefix(f"{newest}/")
        entry = files.get(name)
        sure = entry is not None and (entry.size_bytes, entry.etag) == (row.size_bytes, row.etag)
        held[name] = entry.sha256 if entry is not None and sure else ""
    return held


def read_index(root: ObjectStore) -> Index | None:
    """None where there is none, or one that cannot be read: everything is then put again."""
    try:
        return msgspec.json.decode(root.read(INDEX), type=Index)
    except (DataError, msgspec.MsgspecError):
        return None


def _put(root: ObjectStore, day: str, wanted: Mapping[str, _Local], held: Mapping[str, str]) -> None:
    """Bring a snapshot to what is wanted: first what is new, then away with the rest, the mark last of all."""
    snapshots = root.under("snapshots")
    snapshots.write(f"{day}/{UNFINISHED}", b"An upload goes on, or was interrupted: no run reads this snapshot.\n")
    new = [name for name, local in wanted.items() if held.get(name) != local.sha256]
    progress = _Progress(len(new))
    for n, name in enumerate(new, 1):
        progress.putting(n, name, wanted[name])
        _put_file(snapshots, f"{day}/{name}", wanted[name])
        if n % INDEX_EVERY == 0:
            _write_index(root, day, wanted, new[:n])
    there = {row.key.removeprefix(f"{day}/"): row for row in snapshots.walk(f"{day}/")}
    _check_sizes(snapshots, day, wanted, there)
    snapshots.delete([f"{day}/{name}" for name in there if name not in wanted and name != UNFINISHED])
    _write_index(root, day, wanted, list(wanted))
    snapshots.delete([f"{day}/{UNFINISHED}"])
    n_there = len(wanted) - len(new)
    say(f"{len(wanted)} given: {len(new)} put, {n_there} were there: {snapshots.uri(day)}/", "reviews")


def _put_file(snapshots: ObjectStore, key: str, local: _Local) -> None:
    try:
        snapshots.upload(local.file.path, key)
        about = local.file.path.stat()
    except OSError as error:
        raise DataError(f"{shown(str(local.file.path))}: cannot be read: {error.strerror}") from error
    if (about.st_size, about.st_mtime_ns) != (local.size_bytes, local.modified_ns):
        raise DataError(f"{shown(str(local.file.path))}: changed while it was put. Run again once nobody writes it.")


def _check_sizes(
    snapshots: ObjectStore, day: str, wanted: Mapping[str, _Local], there: Mapping[str, ObjectInfo]
) -> None:
    for name, local in wanted.items():
        row = there.get(name)
        if row is None or row.size_bytes != local.size_bytes:
            size = "not there" if row is None else f"{row.size_bytes} bytes"
            raise DataError(
                f"{snapshots.uri(f'{day}/{name}')}: {size} after its upload, expected {local.size_bytes} bytes. "
                "Run again; is another run putting the same files?"
            )


def _write_index(root: ObjectStore, day: str, wanted: Mapping[str, _Local], sure: Sequence[str]) -> None:
    """Record the files that are certain to be there, with the ETags of now."""
    etags = {row.key.removeprefix(f"snapshots/{day}/"): row.etag for row in root.walk(f"snapshots/{day}/")}
    files = {name: Entry(wanted[name].sha256, wanted[name].size_bytes, etags[name]) for name in sure if name in etags}
    root.write(INDEX, msgspec.json.encode(Index(day, files)))


class _Progress:
    """Says what is put: each of a few files, and of many how far it is."""

    def __init__(self, n_files: int) -> None:
        self.n_files, self.last = n_files, time.monotonic()

    def putting(self, n: int, name: str, local: _Local) -> None:
        """The next file."""
        if self.n_files > FEW_FILES and n > 1 and time.monotonic() - self.last < PROGRESS_EVERY_S:
            return
        self.last = time.monotonic()
        renamed = "" if name == local.file.name else f" as {name}"
        size = f"{local.size_bytes / 1e6:,.1f} MB"
        say(f"Putting {n} of {self.n_files}: {shown(str(local.file.path))}{renamed} ({size}) ...", "reviews")


def _code_digest() -> bytes:
    """What the samples are made by: another code makes other samples."""
    code = b"".join(Path(str(module.__file__)).read_bytes() for module in (world, samples))
    return hashlib.sha256(code).hexdigest().encode()
