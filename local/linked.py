"""The user's review files in the cache of the tasks, without a copy: a run need not fetch them from the local S3.

A file gets into the cache as a clone where the file system has those, else as a hard link. Nobody writes through it: a
download renames another file over it. If the user changes a linked file, its SHA-256 is no longer the recorded one, and
the tasks fetch the object from S3, which has the bytes of the snapshot.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from include.recommender.data.snapshots import known_digest, local_path, record_digest
from include.recommender.storage.cache import claim, make_entry
from include.recommender.storage.objects import ObjectInfo, ObjectStore
from include.recommender.storage.scratch import scratch_directory

from .given import Given
from .object_names import object_names
from .uploads import Source, read_index

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

FICLONE = 0x40049409  # ioctl of Linux (linux/fs.h)


def link_reviews(s3: S3Client, source: Source, files: Sequence[Given], cache: Path) -> None:
    """Put the files of the newest snapshot into the cache. Those on another file system are left to the download."""
    root = ObjectStore.at(s3, source.root)
    index = read_index(root)
    if index is None or index.snapshot != source.newest:
        return
    claim(cache)
    for name, file in object_names(files).items():
        entry = index.files.get(name)
        if entry is None:
            continue
        path = local_path(cache, ObjectInfo(f"{index.snapshot}/{name}", entry.size_bytes, entry.etag))
        if known_digest(path) != entry.sha256:
            with suppress(OSError):
                _link(file.path, path)
                record_digest(path, entry.sha256)


def _link(source: Path, target: Path) -> None:
    make_entry(target.parent)
    with scratch_directory(target.parent) as work:
        part = work / target.name
        try:
            _clone(source, part)
        except OSError:
            part.unlink(missing_ok=True)
            os.link(source.resolve(), part)
        os.replace(part, target)


def _clone(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("xb") as new:
        fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
