"""Dated snapshots in S3: which one a run uses, and its files on local disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..errors import ConfigError, DataError, NotFound
from ..parameters import RUN
from ..plain_text import shown
from ..progress import Progress
from ..storage.cache import entry_path, make_entry, used
from ..storage.digests import file_sha256
from ..storage.disk import guarded
from ..storage.documents import Count, Origin, checked
from ..storage.objects import ObjectInfo, ObjectStore
from ..storage.plain_names import name_problem
from ..storage.scratch import scratch_file
from .file_names import ENDINGS, UNFINISHED, left_out, left_out_lines

log = logging.getLogger(__name__)

DIGEST = "sha256"  # the file beside a review file with what `record_digest` was given


class ObjectRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One object of a snapshot as snapshot.json and the lineage of a download hold it."""

    key: str
    size_bytes: Count
    etag: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    modified_at: None = None

    def __post_init__(self) -> None:
        problem = key_problem(self.key)
        if problem:
            raise ValueError(problem)


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """snapshot.json: the snapshot's date, and what was in it when it was listed."""

    name: str
    objects: list[ObjectRow]


REMEDY = "Delete the artifact that it belongs to, and clear the task that made it."


@dataclass(frozen=True)
class Snapshot:
    """A dated prefix and the review files in it."""

    name: str
    objects: tuple[ObjectInfo, ...]

    def to_json(self) -> str:
        """Canonical JSON; `from_json` reads it."""
        return json.dumps({"name": self.name, "objects": [asdict(row) for row in self.objects]}, sort_keys=True)

    @classmethod
    def from_body(cls, body: Any, where: str) -> Snapshot:
        """What `to_json` wrote, parsed. Raises DataError naming each field that is wrong."""
        found = checked(body, Listing, Origin(where, "a listing of a snapshot", REMEDY))
        strange = [row.key for row in found.objects if not row.key.startswith(f"{found.name}/")]
        if not _is_date(found.name) or strange:
            raise DataError(f"{where}: not a listing of a snapshot ({found.name!r}, {strange[:3]}). {REMEDY}")
        return cls(found.name, tuple(map(_info, found.objects)))


def _info(row: ObjectRow) -> ObjectInfo:
    return ObjectInfo(row.key, row.size_bytes, row.etag)


def located(body: Any, where: str) -> list[ObjectInfo]:
    """Return the objects of a download, from its lineage. Raises DataError."""
    found = checked({"name": "", "objects": body}, Listing, Origin(where, "a download: its lineage", REMEDY))
    return [_info(row) for row in found.objects]


def key_problem(key: str) -> str | None:
    """Return why a key is not that of a review file, `YYYY-MM-DD/<path>`; None if it is."""
    day, _, path = key.partition("/")
    if not _is_date(day):
        return f"the key {ascii(key)[:120]} does not begin with a date"
    parts = path.split("/")
    # Folders are no part of the path on disk, so a name with a dot in front or a colon in it does no harm there.
    problems = (name_problem(part.lstrip(".").replace(":", "-") or part) for part in parts)
    problem = next(filter(None, problems), None)
    if problem or {".", ".."} & set(parts):
        return f"the key {ascii(key)[:120]}: a part of it {problem or 'leads elsewhere'}"
    return None


def resolve(snapshots: ObjectStore, name: str | None, run_date: datetime) -> Snapshot:
    """Return the named snapshot, else the newest one dated on or before the run's date.

    Raises
    ------
    ConfigError
        `name` is not a date.
    NotFound
        There is no such snapshot, or none early enough; the message lists what there is.
    DataError
        The snapshot holds no review file, or its upload goes on.
    """
    problem = RUN["snapshot"].problem(name)
    if problem:
        raise ConfigError(problem)
    known = [folder for folder in snapshots.folders("") if _is_date(folder)]
    wanted = name or max((folder for folder in known if folder <= run_date.date().isoformat()), default=None)
    if wanted is None or wanted not in known:
        listed = ", ".join(known[-5:]) or "none at all"
        problem = f"no snapshot {wanted}" if wanted else f"no snapshot on or before {run_date.date()}"
        raise NotFound(
            f"{snapshots.uri('')}: {problem}. Expected review files under YYYY-MM-DD/; the newest there: {listed}. "
            "Upload one, or name another in the parameter `snapshot`."
        )
    return Snapshot(wanted, _review_files(snapshots, wanted))


def _review_files(snapshots: ObjectStore, name: str) -> tuple[ObjectInfo, ...]:
    """Return the review files at any depth of a snapshot; a warning names the files that are left out."""
    where = shown(snapshots.uri(f"{name}/"))
    # Without the time of writing: a snapshot is what its objects hold.
    rows = [replace(row, modified_at=None) for row in snapshots.walk(f"{name}/") if not row.key.endswith("/")]
    paths = [row.key.removeprefix(f"{name}/") for row in rows]
    if UNFINISHED in paths:
        raise DataError(
            f"{where}: holds {UNFINISHED}, so its upload goes on, or was interrupted. Upload it again, to its end; "
            f"or delete {UNFINISHED} if you know that all files are there."
        )
    left = left_out_lines(paths)
    for line in left:
        log.warning("%s: left out: %s", where, line)
    reviews = tuple(row for row, path in zip(rows, paths, strict=True) if left_out(path) is None)
    wrong = [problem for row in reviews if (problem := key_problem(row.key))]
    if wrong:
        raise DataError(
            f"{where}: {'; '.join(wrong[:3])}. Expected plain names of at most 255 bytes. Rename the objects, or move "
            "them out of the snapshot."
        )
    if not reviews:
        found = f"no review file; left out: {'; '.join(left)}" if left else "the snapshot is empty"
        raise DataError(f"{where}: {found}. Expected files ending in {', '.join(ENDINGS)}.")
    return reviews


def has_landed(snapshots: ObjectStore, name: str) -> bool:
    """Whether there is a review file in a snapshot, and no sign that its upload goes on."""
    paths = [row.key.removeprefix(f"{name}/") for row in snapshots.walk(f"{name}/")]
    return UNFINISHED not in paths and any(left_out(path) is None for path in paths)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except (ValueError, TypeError):
        return False


@dataclass(frozen=True)
class ReviewFile:
    """One downloaded review file."""

    key: str
    etag: str
    size_bytes: int
    sha256: str


def download(snapshots: ObjectStore, objects: Sequence[ObjectInfo], cache: Path) -> list[ReviewFile]:
    """Fetch review files into the cache, each pinned to its ETag; not those that are there, with the bytes they had.

    Raises
    ------
    DataError
        An object changed or was truncated while it was read.
    """
    files = []
    for number, row in enumerate(objects, 1):
        path, what = local_path(cache, row), f"{number} of {len(objects)}: {shown(snapshots.uri(row.key))}"
        sha256 = known_digest(path)
        if sha256:
            log.info("%s is on this machine already", what)
            used(path.parent)
        else:
            log.info("Downloading %s, %.1f MB", what, row.size_bytes / 1e6)
            make_entry(path.parent)
            progress = Progress(log, shown(row.key), max(1, row.size_bytes), "bytes")
            sha256 = snapshots.download(row, path, progress=progress.at, resumed=True)
            record_digest(path, sha256)
        files.append(ReviewFile(row.key, row.etag, row.size_bytes, sha256))
    return files


def known_digest(path: Path) -> str | None:
    """The SHA-256 of a file of the cache, if it is the one that it had when it came there; else None."""
    try:
        recorded = path.with_name(DIGEST).read_bytes()
        return recorded.decode() if recorded == file_sha256(path).encode() else None
    except OSError:
        return None


def record_digest(path: Path, sha256: str) -> None:
    """Record the SHA-256 of a file that was put into the cache."""
    record = path.with_name(DIGEST)
    with guarded(record, "recording a download"), scratch_file(record) as part:
        part.write_text(sha256)
        part.replace(record)


def local_path(cache: Path, row: ObjectInfo | ReviewFile) -> Path:
    """Where a review file lies on disk: in an entry of the cache of its own, as neither key nor ETag decides a path.

    The entry is named by a hash of the path within the snapshot and the version: two files never share one, whatever
    their names are, and a file that comes again in the next snapshot is not fetched again.
    """
    version = json.dumps([row.key.partition("/")[2], row.etag, row.size_bytes])
    return entry_path(cache, "reviews", sha256_of(version.encode()).hexdigest()[:32]) / "reviews"
