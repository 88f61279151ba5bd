"""From a dated snapshot to a fold: resolve, download, parse, encode."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..config import EncodeConfig, ParseConfig
from ..data import snapshots
from ..data.counts import DownloadCounts, FoldCounts, ParseCounts, SnapshotCounts
from ..data.encoding import encode
from ..data.parsing import parse_files
from ..data.reviews import QUARANTINE, Reviews, load_times
from ..data.times import plausible_end
from ..errors import ConfigError, DataError, TransientError
from ..models.memory import require_memory
from ..plain_text import shown
from ..registry.code import code_of
from ..storage.artifacts import Artifact
from ..storage.cache import make_entry, prune, used
from ..storage.digests import Identity, file_sha256
from ..storage.disk import guarded
from ..storage.documents import Count, Origin, Sha256, checked, load_json
from ..storage.objects import ObjectInfo
from .workspace import Outcome, Stage, Workspace, run_once

log = logging.getLogger(__name__)

SPACE_RATIO = 5
N_REASONS = 3  # of bad lines, in a message
# Peak of encoding, a review: its columns, their order, and the arrays of the fold.
ENCODE_BYTES = 80


def resolve_snapshot(workspace: Workspace, name: str | None, run_date: datetime) -> Outcome:
    """Resolve the snapshot of a run and list its objects: snapshot.json."""
    prune(workspace.cache)
    snapshot = snapshots.resolve(workspace.snapshots, name, run_date)
    size = sum(row.size_bytes for row in snapshot.objects)
    n = len(snapshot.objects)
    log.info("Snapshot %s: %d file%s, %.1f MB", snapshot.name, n, "" if n == 1 else "s", size / 1e6)

    def make(directory: Path) -> SnapshotCounts:
        (directory / "snapshot.json").write_text(snapshot.to_json())
        return SnapshotCounts(snapshot.name, files=n, bytes=size)

    return run_once(
        workspace,
        Stage("resolve_snapshot", code_of(__name__)),
        config={},
        inputs={"listing": snapshot.to_json()},
        make=make,
    )


def download_reviews(workspace: Workspace, resolved: Artifact) -> Outcome:
    """Download the review files; files.json has names, bytes and SHA-256, but not the source."""
    listing = workspace.artifacts.path(resolved) / "snapshot.json"
    body = load_json(listing, snapshots.REMEDY)
    objects = snapshots.Snapshot.from_body(body, f"{resolved.uri}/snapshot.json").objects

    def make(directory: Path) -> DownloadCounts:
        _check_space(workspace, objects)
        files = snapshots.download(workspace.snapshots, objects, workspace.cache)
        rows = [
            {"name": row.key.partition("/")[2], "size_bytes": row.size_bytes, "sha256": row.sha256} for row in files
        ]
        _warn_of_copies(rows)
        (directory / "files.json").write_text(json.dumps(rows, indent=1, sort_keys=True))
        return DownloadCounts(files=len(rows), bytes=sum(row.size_bytes for row in files))

    where = {"objects": [asdict(row) for row in objects]}
    return run_once(
        workspace,
        Stage("download_reviews", code_of(__name__)),
        config={},
        inputs={"snapshot": resolved.digest},
        make=make,
        lineage=where,
    )


def _warn_of_copies(rows: Sequence[Mapping[str, Any]]) -> None:
    by_digest: dict[str, list[str]] = {}
    for row in rows:
        by_digest.setdefault(row["sha256"], []).append(shown(row["name"]))
    for names in by_digest.values():
        if len(names) > 1:
            log.warning("The same bytes in %d files, all of them read: %s", len(names), ", ".join(names[:10]))


def _check_space(workspace: Workspace, objects: Sequence[ObjectInfo]) -> None:
    """Raise ConfigError if the disk is too small for what is still to be downloaded, and for the parsed rows."""
    total = sum(row.size_bytes for row in objects)
    with guarded(workspace.cache, "the review files", SPACE_RATIO * total):
        workspace.cache.mkdir(parents=True, exist_ok=True)
    # The parsed rows are spilled beside the downloaded files. Reviews without text pack to a third of their rows.
    missing, rows = sum(_missing_bytes(workspace, row) for row in objects), (SPACE_RATIO - 1) * total
    needed = missing + rows
    free = shutil.disk_usage(workspace.cache).free
    if free < needed:
        raise ConfigError(
            f"{workspace.cache}: {free / 1e9:.1f} GB are free, the snapshot needs up to {needed / 1e9:.1f} GB "
            f"more: {missing / 1e9:.1f} GB for downloads, with those of other tasks that fetch the same, and "
            f"{SPACE_RATIO - 1} times its {total / 1e9:.1f} GB for the parsed rows. Free some space, or move "
            "RECOMMENDER_CACHE."
        )


def _missing_bytes(workspace: Workspace, info: ObjectInfo) -> int:
    """Bytes of disk that the download of a file will take. Another task that is fetching the same takes its own."""
    path = snapshots.local_path(workspace.cache, info)
    if path.exists() and path.stat().st_size == info.size_bytes:
        return 0
    return workspace.snapshots.missing_bytes(info, path)


def parse_reviews(workspace: Workspace, downloaded: Artifact, config: ParseConfig) -> Outcome:
    """Parse reviews into coded columns: reviews.parquet, users.parquet, items.parquet, quarantine.jsonl.gz.

    Raises
    ------
    DataError
        A file is damaged, or too many lines are bad. The quarantine is stored in S3; the message has its URI.
    TransientError
        A file changed while it was parsed.
    """

    def make(directory: Path) -> ParseCounts:
        files = _local_files(workspace, downloaded)
        try:
            counts = parse_files([(file.row.name, file.path) for file in files], directory, config)
        except DataError as error:
            _require_unchanged(files)  # what is wrong with other bytes than the snapshot's says nothing about them
            kept = _keep_quarantine(workspace, downloaded, directory / QUARANTINE)
            raise DataError(f"{error}{kept}") from error
        _require_unchanged(files)
        log.info("Parsed %d of %d files: %s reviews", counts.files, len(files), f"{counts.reviews:,}")
        return counts

    outcome = run_once(
        workspace,
        Stage("parse_reviews", code_of(__name__)),
        config=asdict(config),
        inputs={"files": downloaded.digest},
        make=make,
    )
    _warn_of_bad_lines(workspace, outcome.artifact)
    return outcome


def _warn_of_bad_lines(workspace: Workspace, parsed: Artifact) -> None:
    """Log the lines that were left out, also if the parse is reused: a small share of bad lines is allowed."""
    counts = parsed.counted(ParseCounts)
    if not counts.bad:
        return
    filled = counts.lines - counts.blank
    common = sorted(counts.reasons.items(), key=lambda row: (-row[1], row[0]))[:N_REASONS]
    reasons = "; ".join(f"{shown(reason)} ({count:,})" for reason, count in common)
    log.warning(
        "%s lines (%.2f %%) are unusable and left out. Commonest reasons: %s. File, line and reason of each: %s",
        f"{counts.bad:,} of {filled:,}",
        100 * counts.bad / filled,
        reasons,
        workspace.root.uri(parsed.key(QUARANTINE)),
    )


def _keep_quarantine(workspace: Workspace, downloaded: Artifact, path: Path) -> str:
    """Store the bad lines; return a sentence with their URI, or an empty text if there are none."""
    if not path.exists():
        return ""
    with gzip.open(path) as lines:
        if not lines.read(1):
            return ""
    key = f"artifacts/parse_reviews/refused-{downloaded.fingerprint}/{QUARANTINE}"
    workspace.root.upload(path, key)
    return f" All bad lines: {workspace.root.uri(key)}"


def _local_files(workspace: Workspace, downloaded: Artifact) -> list[LocalFile]:
    """The downloaded files; downloaded again if another worker has them."""
    files = []
    for row, info in _downloaded(workspace, downloaded):
        path = snapshots.local_path(workspace.cache, info)
        state = _state(path)
        if state is None or file_sha256(path) != row.sha256:
            log.info("%s is not on this worker; fetching it again", shown(row.name))
            make_entry(path.parent)
            workspace.snapshots.download(info, path, sha256=row.sha256, resumed=True)
            state = _state(path)
        used(path.parent)
        files.append(LocalFile(row, path, state))
    return files


def _require_unchanged(files: Sequence[LocalFile]) -> None:
    """Raise TransientError if a file changed meanwhile: on a laptop it may be the user's own, by a hard link.

    Only a file with such a link is hashed again: of any other the state says enough, as nobody writes to it.
    """
    for file in files:
        state = _state(file.path)
        if state is not None and state == file.state and file.path.stat().st_nlink == 1:
            continue
        if state is None or file_sha256(file.path) != file.row.sha256:
            raise TransientError(
                f"{file.path}: {shown(file.row.name)} changed while it was parsed. The next try fetches it anew."
            )


def _state(path: Path) -> Identity | None:
    """The state of a file; None if there is none."""
    try:
        return Identity.of(path.stat())
    except FileNotFoundError:
        return None


class FileRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of files.json: one downloaded file; `name` is its path within the snapshot."""

    name: str
    size_bytes: Count
    sha256: Sha256


@dataclass(frozen=True)
class LocalFile:
    """A downloaded file on this machine, and its state before it was hashed."""

    row: FileRow
    path: Path
    state: Identity | None


def _downloaded(workspace: Workspace, downloaded: Artifact) -> list[tuple[FileRow, ObjectInfo]]:
    """The files of a download, each with the object that it came from. Raises DataError if the two disagree."""
    where = f"{downloaded.uri}/files.json"
    rows = load_json(workspace.artifacts.path(downloaded) / "files.json", snapshots.REMEDY)
    if not isinstance(rows, list):
        raise DataError(f"{where}: expected a list of files. {snapshots.REMEDY}")
    files = [checked(row, FileRow, Origin(where, "a list of files", snapshots.REMEDY)) for row in rows]
    objects = snapshots.located(downloaded.lineage.get("objects"), downloaded.uri)
    listed = [(row.key.partition("/")[2], row.size_bytes) for row in objects]
    if listed != [(row.name, row.size_bytes) for row in files]:
        raise DataError(f"{where}: its files are not those of the manifest's lineage. {snapshots.REMEDY}")
    return list(zip(files, objects, strict=True))


def known_until(workspace: Workspace, parsed: Artifact, as_of: datetime) -> int:
    """The second after the newest review before as_of: the run knows everything until then.

    Runs that know the same share their artifacts, also if there are reviews after as_of. A few reviews dated long after
    all others do not count (`times.plausible_end`), and are left out like those after as_of.
    """
    as_of_s = int(as_of.timestamp())
    counts = parsed.counted(ParseCounts)
    if as_of_s > counts.last_s:
        return counts.newest_s + 1
    times = load_times(workspace.artifacts.path(parsed))
    return plausible_end(times[times < as_of_s]) or as_of_s


def encode_interactions(workspace: Workspace, parsed: Artifact, as_of: datetime, config: EncodeConfig) -> Outcome:
    """Encode the fold: the confidence matrix of train, the holdout, and statistics in fold.json.

    An as_of after the newest review changes nothing, so all such runs share one artifact.
    """
    as_of_s = known_until(workspace, parsed, as_of)

    def make(directory: Path) -> FoldCounts:
        n = parsed.counted(ParseCounts).reviews
        require_memory(
            n * ENCODE_BYTES,
            f"{n:,} reviews, to be encoded at about {ENCODE_BYTES} bytes each,",
            "Bring fewer reviews, or use a larger machine.",
        )
        fold = encode(Reviews.load(workspace.artifacts.path(parsed)), as_of_s, config)
        fold.save(directory)
        return msgspec.convert(fold.stats, FoldCounts)

    settings = {**asdict(config), "as_of_s": as_of_s}
    outcome = run_once(
        workspace,
        Stage("encode_interactions", code_of(__name__)),
        config=settings,
        inputs={"reviews": parsed.digest},
        make=make,
    )
    _log_counts(outcome)
    return outcome


def _log_counts(outcome: Outcome) -> None:
    """Log the fold's statistics, as one line if the fold was reused; those of the holdout if there is one."""
    counts = outcome.artifact.counted(FoldCounts)
    if outcome.reused:
        split = _shown("split_s", counts.split_s)
        sizes = f"{counts.train:,} train, {counts.holdout:,} holdout interactions"
        log.info("Fold: %s, split time %s", sizes, split)
        return
    for name, value in msgspec.structs.asdict(counts).items():
        if counts.holdout or not _of_holdout(name):
            log.info("%-22s %s", name, _shown(name, value))


def _of_holdout(name: str) -> bool:
    return any(word in name for word in ("holdout", "cold", "judged"))


def _shown(name: str, value: float) -> str:
    if name.endswith("_s"):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return f"{value:,}" if isinstance(value, int) else f"{value:.6f}"
