"""Names of the user's files in a snapshot: unique, printable, short enough, and the same whatever the order."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from include.recommender.data.file_names import ending
from include.recommender.errors import ConfigError

from .given import Given

# The local S3 keeps objects as files, with notes beside them under longer names; file systems end at 255 bytes.
PART_BYTES = 200
NAME_BYTES = 700
DIGITS = (8, 16, 32, 64)


def object_names(files: Sequence[Given]) -> dict[str, Given]:
    """An object name for each file: its own where no other comes too near, else with a digest of its path.

    Names are too near that differ only in case or in Unicode's ways to write a letter, or where one would be a folder
    in which the other lies: disks of some systems hold only one of them.
    """
    plain = {file: _plain(file.name) for file in files}
    taken = Counter(map(_folded, plain.values()))
    folders = {_folded(str(above)) for name in plain.values() for above in PurePosixPath(name).parents}
    near = {file for file, name in plain.items() if taken[_folded(name)] > 1 or _folded(name) in folders}
    for digits in DIGITS:
        names = {_marked(name, file, digits) if file in near else name: file for file, name in plain.items()}
        if len({_folded(name) for name in names}) == len(plain):
            break
    else:
        raise ConfigError("REVIEWS: two files have names that a snapshot cannot distinguish. Rename one of them")
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _plain(name: str) -> str:
    """A name that every store, disk and reader of snapshots takes."""
    *folders, last = unicodedata.normalize("NFC", name).split("/")
    stem, end = _split(last)
    plain = "/".join([*(_cut(_part(folder), "") for folder in folders), _cut(stem, end)])
    return plain if len(plain.encode()) <= NAME_BYTES else _cut(f"{_digest(plain.encode(), DIGITS[0])}~{stem}", end)


def _part(text: str) -> str:
    """Printable, and not left out by the readers of snapshots."""
    printable = "".join(each if each.isprintable() and each != "\\" else "-" for each in text)
    return printable.lstrip("_.") or "x"


def _split(name: str) -> tuple[str, str]:
    """Stem and ending, one that readers know."""
    end = ending(name)
    if not end:
        end = ".jsonl.gz" if name.lower().endswith(".gz") else ".jsonl"
        name = name[:-3] + end if end == ".jsonl.gz" else name + end
    stem = _part(name[: len(name) - len(end)])
    # The local S3 keeps its notes on an object `x` in `x.meta.json`.
    return f"{stem[:-5]}-meta" if stem.lower().endswith(".meta") else stem, end


def _cut(stem: str, end: str) -> str:
    """Stem and ending, the stem cut where both are too long, with a digest of all of it."""
    if len((stem + end).encode()) <= PART_BYTES:
        return stem + end
    mark = f"~{_digest(stem.encode(), DIGITS[0])}{end}"
    return stem.encode()[: PART_BYTES - len(mark.encode())].decode("utf-8", "ignore") + mark


def _marked(name: str, file: Given, digits: int) -> str:
    end = ending(name)
    folder, slash, stem = name[: len(name) - len(end)].rpartition("/")
    mark = f"~{_digest(os.fsencode(file.path), digits)}{end}"
    short = stem.encode()[: PART_BYTES - len(mark)].decode("utf-8", "ignore")
    return f"{folder}{slash}{short}{mark}"


def _digest(data: bytes, digits: int) -> str:
    return hashlib.sha256(data).hexdigest()[:digits]
