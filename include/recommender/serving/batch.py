"""Lists of all users and similar items of all items, as Parquet in parts: what is written, and how far it came.

    recommendations/<model_id>/<plan>/users/part-00000.parquet ...      user, rank, item, score, family
                                      similar/part-00000.parquet ...    item, rank, similar_item, cosine
                                      done/users-00000.json ...         of each part that is whole
                                      manifest.json                     written last: all parts are there

A plan's name follows from all that decides its bytes, so a run that was killed goes on at the part where it stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..ids import Vocabulary
from ..models.histories import Histories, Ints
from ..models.protocol import Scores
from ..models.ranking import best_of_all, in_blocks
from ..models.shortlist import shortlist
from ..parameters.of_batch import BatchConfig
from ..registry.code import code_of
from ..registry.provenance import library_versions
from ..storage.artifacts import canonical_hash
from ..storage.digests import file_sha256
from ..storage.documents import Count, Instant, Origin, Sha256, decode, to_json
from ..storage.objects import ObjectStore
from ..storage.scratch import scratch_directory
from .version import ServedVersion

log = logging.getLogger(__name__)

FOLDER = "recommendations"
PART_ROWS = 50_000  # users or items
DAY_S = 86_400
FAMILY = "als"
# Modules that decide on the bytes of a list, with what they import from the computing rooms.
PACKAGE = __name__.rsplit(".", 2)[0]
LISTING = (
    "serving.batch",
    "serving.version",
    "registry.bundle",
    "registry.seen",
    "models.scoring",
    "models.confidence",
)
USERS, SIMILAR = "users", "similar"
Kind = Literal["users", "similar"]

USER_ROWS = pa.schema(
    [
        ("user", pa.string()),
        ("rank", pa.int16()),
        ("item", pa.string()),
        ("score", pa.float32()),
        ("family", pa.string()),
    ]
)
SIMILAR_ROWS = pa.schema(
    [("item", pa.string()), ("rank", pa.int16()), ("similar_item", pa.string()), ("cosine", pa.float32())]
)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of lists. lists : users or items that it is about; rows : their items"""

    name: str
    lists: Count
    rows: Count
    size_bytes: Count
    sha256: Sha256


class BatchManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a batch is; it exists when this is there."""

    format: Literal[1] = 1
    model_id: str
    as_of: Instant
    list_size: Count
    active_days: Count
    similar_items: Count
    users: list[Part]
    similar: list[Part]


@dataclass(frozen=True)
class Batch:
    """Lists of one version with one configuration, in their folder of the store."""

    objects: ObjectStore
    version: ServedVersion
    config: BatchConfig

    @property
    def folder(self) -> str:
        """The key of the folder, which follows from what decides its bytes."""
        settings = {name: value for name, value in asdict(self.config).items() if name != "model"}
        code = [code_of(f"{PACKAGE}.{name}") for name in LISTING]
        plan = {"code": code, "libraries": library_versions(), "part_rows": PART_ROWS, **settings}
        return f"{FOLDER}/{self.version.manifest.model_id}/{canonical_hash(plan)[:12]}"

    @property
    def uri(self) -> str:
        """Where the folder is."""
        return self.objects.uri(self.folder)

    def write_users(self, scratch: Path) -> list[Part]:
        """The list of each user, in parts; those that are there are kept."""
        histories, rows = self.version.histories, self._active()

        def table(part: np.ndarray[Any, Any]) -> pa.Table:
            own = histories.take(part)
            items, scores = best_of_all(self.version.model, own, own, self.config.list_size)
            columns = _flat(self.version.users, part, self.version.items, items, scores)
            return pa.table([*columns, pa.array([FAMILY] * len(columns[0]))], schema=USER_ROWS)

        return list(self._parts("users", rows, table, scratch))

    def write_similar(self, scratch: Path) -> list[Part]:
        """The most similar items of each item, in parts; those that are there are kept."""
        items, k, n = self.version.items, self.config.similar_items, len(self.version.items)

        def lists(rows: np.ndarray[Any, Any]) -> tuple[Ints, Scores]:
            ones = np.ones(len(rows), dtype=np.float32)
            themselves = Histories(np.arange(len(rows) + 1), rows.astype(np.int32), ones, n)
            return shortlist(self.version.similarity.scoring(rows), themselves, k)

        def table(part: np.ndarray[Any, Any]) -> pa.Table:
            blocks = in_blocks(lists, part, n)
            found, cosines = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
            return pa.table(_flat(items, part, items, found, cosines), schema=SIMILAR_ROWS)

        rows = np.arange(n if k else 0, dtype=np.int32)
        return list(self._parts("similar", rows, table, scratch))

    def finish(self) -> str:
        """Write the manifest, which makes the batch exist; return its URI.

        Raises
        ------
        DataError
            A part is not there: the code or the channel changed between the tasks, or somebody deleted it.
        """
        users = self._whole("users", len(self._active()))
        similar = self._whole("similar", len(self.version.items) if self.config.similar_items else 0)
        manifest = BatchManifest(
            model_id=self.version.manifest.model_id,
            as_of=self.version.manifest.as_of,
            list_size=self.config.list_size,
            active_days=self.config.active_days,
            similar_items=self.config.similar_items,
            users=users,
            similar=similar,
        )
        self.objects.write(f"{self.folder}/manifest.json", to_json(manifest))
        return f"{self.uri}/manifest.json"

    def _active(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Rows of the users that get a list."""
        seen, days = self.version.seen, self.config.active_days
        rows = np.flatnonzero(np.diff(seen.indptr) > 0)
        if not days:
            return rows
        newest = np.maximum.reduceat(seen.times, seen.indptr[rows]) if len(rows) else np.zeros(0)
        active: np.ndarray[Any, np.dtype[np.int64]] = rows[
            newest >= self.version.manifest.published_split_s - days * DAY_S
        ]
        return active

    def _parts(
        self, kind: Kind, rows: np.ndarray[Any, Any], table: Callable[[np.ndarray[Any, Any]], pa.Table], scratch: Path
    ) -> Iterator[Part]:
        done = self._done(kind)
        n_parts, started, made = -(-len(rows) // PART_ROWS), time.monotonic(), 0
        for number in range(n_parts):
            name = _part_name(kind, number)
            if name in done:
                yield done[name]
                continue
            part = np.sort(rows[number * PART_ROWS : (number + 1) * PART_ROWS])
            yield self._write(name, len(part), table(part), scratch)
            made += len(part)
            a_second = made / (time.monotonic() - started)
            left_s = max(0, len(rows) - (number + 1) * PART_ROWS) / a_second
            log.info(
                "%s: %d of %d parts, %s lists a second, about %.0f s left",
                *(kind, number + 1, n_parts, f"{a_second:,.0f}", left_s),
            )

    def _whole(self, kind: Kind, n: int) -> list[Part]:
        """All parts of n lists."""
        done = self._done(kind)
        names = [_part_name(kind, number) for number in range(-(-n // PART_ROWS))]
        missing = [name for name in names if name not in done]
        if missing:
            raise DataError(
                f"{self.uri}/{missing[0]}: is not there, or is not whole ({len(missing):,} of {len(names):,} parts). "
                "Clear resolve_model with all tasks after it."
            )
        return [done[name] for name in names]

    def _done(self, kind: Kind) -> dict[str, Part]:
        """The parts that an earlier try has written; one whose file is missing is written again."""
        prefix = f"{self.folder}/done/{kind}-"
        parts = [
            decode(self.objects.read(info.key), Part, Origin(self.objects.uri(info.key), "a part", "Delete it."))
            for info in self.objects.walk(prefix)
        ]
        sizes = {info.key: info.size_bytes for info in self.objects.walk(f"{self.folder}/{kind}/")}
        return {part.name: part for part in parts if sizes.get(f"{self.folder}/{part.name}") == part.size_bytes}

    def _write(self, name: str, lists: int, table: pa.Table, scratch: Path) -> Part:
        """Upload a part, and then that it is whole."""
        with scratch_directory(scratch, "batch") as directory:
            path = directory / "part.parquet"
            pq.write_table(table, path, compression="zstd")
            part = Part(
                name=name, lists=lists, rows=len(table), size_bytes=path.stat().st_size, sha256=file_sha256(path)
            )
            self.objects.upload(path, f"{self.folder}/{name}")
        mark = name.replace("/part", "").removesuffix(".parquet")
        self.objects.write(f"{self.folder}/done/{mark}.json", to_json(part))
        return part


def _part_name(kind: Kind, number: int) -> str:
    return f"{kind}/part-{number:05}.parquet"


def _flat(
    names: Vocabulary, rows: np.ndarray[Any, Any], items: Vocabulary, found: Ints, scores: Scores
) -> list[pa.Array]:
    """Ids, ranks from 1, items and scores of all lists, one row an item."""
    place, rank = np.nonzero(found >= 0)
    return [
        names.ids.take(pa.array(rows[place])).cast(pa.string()),
        pa.array((rank + 1).astype(np.int16)),
        items.ids.take(pa.array(found[place, rank])).cast(pa.string()),
        pa.array(scores[place, rank]),
    ]


def read_batch(objects: ObjectStore, folder: str) -> BatchManifest:
    """The manifest of a batch. Raises NotFound where it is not finished, and DataError where it is damaged."""
    key = f"{folder}/manifest.json"
    origin = Origin(objects.uri(key), "the manifest of a batch", "Delete it, and run recommender_batch again.")
    return decode(objects.read(key), BatchManifest, origin)
