"""Dated snapshots in S3: which one a run uses, and its files on local disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path

from ..config import shown
from ..errors import ConfigError, DataError, NotFound
from ..storage.objects import ObjectInfo, ObjectStore

log = logging.getLogger(__name__)

ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")


@dataclass(frozen=True)
class Snapshot:
    """A dated prefix and the review files in it."""

    name: str
    objects: tuple[ObjectInfo, ...]

    def to_json(self) -> str:
        """Canonical JSON; `from_json` reads it."""
        return json.dumps({"name": self.name, "objects": [asdict(row) for row in self.objects]}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Snapshot:
        """Read what `to_json` wrote."""
        body = json.loads(text)
        return cls(body["name"], tuple(ObjectInfo(**row) for row in body["objects"]))


def resolve(snapshots: ObjectStore, name: str | None, run_date: datetime) -> Snapshot:
    """The named snapshot, else the newest dated on or before the run's date.

    Raises
    ------
    ConfigError
        `name` is not a date.
    NotFound
        There is no such snapshot, or none early enough; the message lists what there is.
    DataError
        The snapshot holds no review file, or one with a name that is not understood.
    """
    if name is not None:
        _check_date(name)
    known = [folder for folder in snapshots.folders("") if _is_date(folder)]
    wanted = name or max((folder for folder in known if folder <= run_date.date().isoformat()), default=None)
    if wanted is None or wanted not in known:
        listed = ", ".join(known[-5:]) or "none at all"
        asked = f"no snapshot {wanted}" if wanted else f"no snapshot on or before {run_date.date()}"
        raise NotFound(
            f"{snapshots.uri('')}: {asked}. Expected review files under YYYY-MM-DD/; the newest there: {listed}. "
            "Upload one, or name another in the parameter `snapshot`."
        )
    # Without the time of writing: a snapshot is what its objects hold.
    listed_rows = (replace(row, modified_at=None) for row in snapshots.walk(f"{wanted}/"))
    rows = tuple(row for row in listed_rows if not row.key.endswith("/"))
    reviews = tuple(row for row in rows if row.key.endswith(ENDINGS))
    for row in set(rows) - set(reviews):
        log.warning("%s is not a review file (%s) and is left out", snapshots.uri(row.key), ", ".join(ENDINGS))
    if not reviews:
        raise DataError(
            f"{snapshots.uri(wanted)}/: the snapshot is empty. Expected files ending in {', '.join(ENDINGS)}."
        )
    return Snapshot(wanted, reviews)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except (ValueError, TypeError):
        return False


def _check_date(name: str) -> None:
    if not _is_date(name):
        raise ConfigError(f"snapshot={shown(name)}: expected a date as YYYY-MM-DD")


@dataclass(frozen=True)
class ReviewFile:
    """One downloaded review file."""

    key: str
    etag: str
    size_bytes: int
    sha256: str


def download(snapshots: ObjectStore, objects: Sequence[ObjectInfo], directory: Path) -> list[ReviewFile]:
    """Fetch review files below a directory, each pinned to its ETag.

    Raises
    ------
    DataError
        An object changed or came short while it was read.
    """
    files = []
    for number, row in enumerate(objects, 1):
        log.info(
            "Downloading %d of %d: %s, %.1f MB", number, len(objects), snapshots.uri(row.key), row.size_bytes / 1e6
        )
        sha256 = snapshots.download(row, local_path(directory, row), progress=_Progress(row.key))
        files.append(ReviewFile(row.key, row.etag, row.size_bytes, sha256))
    return files


def local_path(directory: Path, row: ObjectInfo | ReviewFile) -> Path:
    """Where a review file lies on disk: its own name in a folder named for its version."""
    return directory / row.etag.strip('"') / Path(row.key).name


class _Progress:
    """Logs each further tenth of a download."""

    def __init__(self, name: str) -> None:
        self.name, self.next = name, 0.1

    def __call__(self, done: int, total: int) -> None:
        if total and done / total >= self.next and done < total:
            log.info("%s: %d %% of %.1f MB", self.name, 100 * done // total, total / 1e6)
            self.next = done / total + 0.1
