"""Parts of a batch: Parquet files, each with its own digest in the metadata of its object.

The object and its metadata appear at once, so a part that is there is whole. One that something else has overwritten
lacks the metadata, and is written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ..registry.parallel import at_once
from ..storage.digests import file_sha256
from ..storage.documents import Count, Sha256
from ..storage.objects import ObjectInfo, ObjectStore
from ..storage.scratch import scratch_directory

PART_ROWS = 50_000  # users or items
Kind = Literal["users", "similar"]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of lists. lists : users or items that it is about; rows : their items"""

    name: str
    lists: Count
    rows: Count
    size_bytes: Count
    sha256: Sha256


def part_name(kind: Kind, number: int) -> str:
    """Name of a part in the folder of its batch."""
    return f"{kind}/part-{number:05}.parquet"


def written_parts(objects: ObjectStore, folder: str, kind: Kind) -> dict[str, Part]:
    """Name -> part, of those that are whole."""

    def read(info: ObjectInfo) -> Part | None:
        part = _part(info.key.removeprefix(f"{folder}/"), objects.metadata(info.key))
        return part if part and part.size_bytes == info.size_bytes else None

    parts = at_once(objects, read, objects.walk(f"{folder}/{kind}/"))
    return {part.name: part for part in parts if part}


def _part(name: str, metadata: Mapping[str, str]) -> Part | None:
    """The part that the metadata of an object describe; None if they describe none."""
    try:
        return msgspec.convert({**metadata, "name": name}, Part, strict=False)
    except msgspec.ValidationError:
        return None


def write_part(objects: ObjectStore, folder: str, name: str, lists: int, table: pa.Table, scratch: Path) -> Part:
    """Upload a table as a part."""
    with scratch_directory(scratch, "batch") as directory:
        path = directory / "part.parquet"
        pq.write_table(table, path, compression="zstd")
        size_bytes, sha256 = path.stat().st_size, file_sha256(path)
        part = Part(name=name, lists=lists, rows=len(table), size_bytes=size_bytes, sha256=sha256)
        about = {field: str(value) for field, value in msgspec.structs.asdict(part).items() if field != "name"}
        objects.upload(path, f"{folder}/{name}", about)
    return part
