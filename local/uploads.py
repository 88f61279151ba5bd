"""Snapshots in the local S3: the generated samples, or the user's own review files."""

from __future__ import annotations

import glob
import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from include.recommender.data.snapshots import ENDINGS
from include.recommender.errors import ConfigError
from include.recommender.storage.content_types import content_type
from include.recommender.storage.objects import file_sha256

from . import samples, world
from .home import say
from .store import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SAMPLES_PREFIX = "samples"
DIGEST = "sha256"


@dataclass(frozen=True)
class Source:
    """Where a run reads its snapshots: root (an S3 URI) and the newest snapshot's date."""

    root: str
    newest: str


def put_samples(s3: S3Client) -> Source:
    """Put all generated snapshots, unless those of this very code are there already."""
    marker, code = f"{SAMPLES_PREFIX}/generated-by.txt", _code_digest()
    dates = [day.isoformat() for day in samples.snapshot_dates()]
    source = Source(f"s3://{BUCKET}/{SAMPLES_PREFIX}", dates[-1])
    if _read(s3, marker) == code:
        say(f"{len(dates)} generated snapshots are there: {source.root}/snapshots/", "samples")
        return source
    say(f"Generating {len(dates)} sample snapshots, {dates[0]} to {dates[-1]} (no real reviews) ...", "samples")
    for day, packed in samples.snapshots():
        key = f"{SAMPLES_PREFIX}/snapshots/{day.isoformat()}/{samples.FILE_NAME}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=packed, ContentType=content_type(key))
    s3.put_object(Bucket=BUCKET, Key=marker, Body=code.encode(), ContentType=content_type(marker))
    say(f"{len(dates)} generated snapshots put: {source.root}/snapshots/", "samples")
    return source


def find_reviews(wanted: str) -> list[Path]:
    """The files that REVIEWS means: paths, folders or globs, separated by blanks (quote those with blanks in them).

    Raises
    ------
    ConfigError
        A path or glob that matches no review file.
    """
    found: list[Path] = []
    for pattern in [wanted] if Path(wanted).expanduser().exists() else shlex.split(wanted):
        matches = [Path(match) for match in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]
        files = [file for match in matches for file in (sorted(match.iterdir()) if match.is_dir() else [match])]
        reviews = [file.resolve() for file in files if file.is_file() and file.name.endswith((*ENDINGS, ".gz"))]
        if not reviews:
            what = f"matches {len(files)} file(s), none of which is a review file" if files else "matches no file"
            raise ConfigError(
                f"REVIEWS={pattern}: {what} (looked from {Path.cwd()}). Expected paths or globs of files with one "
                f"JSON review a line, ending in {', '.join(ENDINGS)} or .gz"
            )
        found += [file for file in reviews if file not in found]
    if not found:
        raise ConfigError("REVIEWS is blank: expected one or more paths or globs")
    return found


def put_reviews(s3: S3Client, files: Sequence[Path]) -> Source:
    """Put the user's files as a snapshot of today, unless the newest snapshot holds the same bytes.

    They get a root of their own, so that no champion of other data judges them.
    """
    prefix = f"reviews-{hashlib.sha256(chr(10).join(map(str, files)).encode()).hexdigest()[:10]}"
    wanted = {name: (file, file_sha256(file)) for name, file in _names(files).items()}
    root, folder = f"s3://{BUCKET}/{prefix}", f"{prefix}/snapshots/"
    newest, held = _newest(s3, folder)
    if newest and held == {name: digest for name, (_, digest) in wanted.items()}:
        say(f"The same bytes are there as snapshot {newest}: {root}/snapshots/{newest}/", "reviews")
        return Source(root, newest)
    today = datetime.now(UTC).date().isoformat()
    if newest == today:
        for name in held.keys() - wanted.keys():
            s3.delete_object(Bucket=BUCKET, Key=f"{folder}{today}/{name}")
    for name, (file, digest) in wanted.items():
        say(f"Putting {file} ({file.stat().st_size / 1e6:,.1f} MB) ...", "reviews")
        about = {"Metadata": {DIGEST: digest}, "ContentType": content_type(name)}
        s3.upload_file(str(file), BUCKET, f"{folder}{today}/{name}", ExtraArgs=about)
    say(f"Put as snapshot {today}: {root}/snapshots/{today}/", "reviews")
    return Source(root, today)


def _names(files: Sequence[Path]) -> dict[str, Path]:
    """Object names that are unique and end as review files do."""
    names: dict[str, Path] = {}
    for number, file in enumerate(files):
        name = file.name if file.name.endswith(ENDINGS) else f"{file.name.removesuffix('.gz')}.jsonl.gz"
        names[f"{number}-{name}" if name in names else name] = file
    return names


def _newest(s3: S3Client, folder: str) -> tuple[str | None, dict[str, str]]:
    """The newest snapshot below a folder, and name -> SHA-256 of its files."""
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=folder, Delimiter="/").get("CommonPrefixes", [])
    if not listed:
        return None, {}
    last = max(row["Prefix"] for row in listed)
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET, Prefix=last).get("Contents", [])]
    heads = {key: s3.head_object(Bucket=BUCKET, Key=key)["Metadata"] for key in keys}
    return last.split("/")[-2], {key.removeprefix(last): about.get(DIGEST, "") for key, about in heads.items()}


def _code_digest() -> str:
    """What the samples are made by: another code makes other samples."""
    return hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in (world, samples))).hexdigest()


def _read(s3: S3Client, key: str) -> str | None:
    try:
        return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    except s3.exceptions.NoSuchKey:
        return None
