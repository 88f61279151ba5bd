"""Lists of all users and similar items of all items, as Parquet in parts.

    recommendations/<model_id>/<plan>/users/part-00000.parquet ...      user, rank, item, score, family
                                      similar/part-00000.parquet ...    item, rank, similar_item, cosine
                                      manifest.json                     written last: all parts are there

A plan's name follows from all that decides its bytes, so a run that was killed goes on at the part where it stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..ids import Vocabulary
from ..models.confidence import DAY_S
from ..models.histories import Ints
from ..models.protocol import Scores
from ..models.ranking import best_of_all, block_bytes, in_blocks
from ..registry.registry import Registry
from ..storage.objects import ObjectStore
from .exposure import first_pages, least_new
from .new_items import FEW, Best
from .parts import PART_ROWS, Kind, Part, part_name, write_part, written_parts
from .plan import Plan
from .version import ServedVersion

log = logging.getLogger(__name__)

ROW_BYTES = 120  # of an item in a part: two ids, as text in two copies, and numbers
NEW_ROW_BYTES = 70  # of an item of a list while new items are put into it

Rows = np.ndarray[Any, np.dtype[np.int64]]

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


@dataclass(frozen=True)
class Batch:
    """Lists of one version as they were planned, in their folder of the store."""

    objects: ObjectStore
    version: ServedVersion
    plan: Plan

    @classmethod
    def open(cls, registry: Registry, plan: Plan, cache: Path) -> Batch:
        """Load the version of a plan.

        Raises
        ------
        NotFound
            The version was retired.
        DataError
            A file of it is damaged, or the code changed since the plan was made.
        ConfigError
            The free memory does not suffice.
        """
        manifest = registry.manifest(plan.model_id)
        plan.check_code(manifest)
        factors = manifest.files.get("published_item_factors.npy")
        prior = manifest.files.get("published_prior.npy")
        # The directions of the items are as large as their factors.
        working = (factors.size_bytes if factors else 0) + block_bytes(prior.size_bytes // 8 if prior else 0)
        working += PART_ROWS * max(plan.list_size, plan.similar_items) * ROW_BYTES
        if plan.new_item_share:
            working += (factors.size_bytes // FEW if factors else 0) + PART_ROWS * plan.list_size * NEW_ROW_BYTES
        version = ServedVersion.fetch(registry, plan.model_id, cache, working_bytes=working)
        return cls(registry.objects, version, plan)

    def write_users(self, scratch: Path) -> list[Part]:
        """The list of each user, in parts; those that are there are kept."""
        rows, places = self._active(), Places()

        def table(part: Rows) -> pa.Table:
            items, scores = self._lists(part, places)
            columns = _flat(self.version.users, part, self.version.items, items, scores)
            return pa.table(
                [*columns, pa.array([self.version.manifest.choice.family] * len(columns[0]))], schema=USER_ROWS
            )

        written = list(self._parts("users", rows, table, scratch))
        places.report()
        return written

    def _lists(self, rows: Rows, places: Places) -> Best:
        """The lists of some users. Those with too few new items are searched for new items alone."""
        own, k = self.version.histories.take(rows), self.plan.list_size
        items, scores = best_of_all(self.version.model, own, own, k)
        new, least = self.version.new_items(self.plan.new_item_days), least_new(self.plan.new_item_share, k)
        n_new = new.counts(items)
        lacking = np.flatnonzero(n_new < least)
        before = int(n_new.sum())
        if len(lacking):
            own, n_new = own.take(lacking), n_new[lacking]
            fresh, fresh_scores = new.best_of_all(own, own, least)
            # The first n_new of them are in the list by their scores.
            added = np.where(np.arange(least) < n_new[:, None], np.int32(-1), fresh), fresh_scores
            items[lacking], scores[lacking] = first_pages((items[lacking], scores[lacking]), added, new.flags)
        places.add(int((items >= 0).sum()), before, int(new.counts(items).sum()))
        return items, scores

    def write_similar(self, scratch: Path) -> list[Part]:
        """The most similar items of each item, in parts; those that are there are kept."""
        items, k = self.version.items, self.plan.similar_items

        def table(part: Rows) -> pa.Table:
            blocks = in_blocks(lambda rows: self.version.similarity.most_similar(rows, k), part, len(items))
            found, cosines = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
            return pa.table(_flat(items, part, items, found, cosines), schema=SIMILAR_ROWS)

        rows = np.arange(len(items) if k else 0, dtype=np.int64)
        return list(self._parts("similar", rows, table, scratch))

    def _active(self) -> Rows:
        """Rows of the users that get a list."""
        seen, days = self.version.seen, self.plan.active_days
        rows = np.flatnonzero(np.diff(seen.indptr) > 0)
        if not days:
            return rows
        newest = np.maximum.reduceat(seen.times, seen.indptr[rows]) if len(rows) else np.zeros(0)
        active: Rows = rows[newest >= self.version.manifest.published_split_s - days * DAY_S]
        return active

    def _parts(self, kind: Kind, rows: Rows, table: Callable[[Rows], pa.Table], scratch: Path) -> Iterator[Part]:
        there, folder = written_parts(self.objects, self.plan.folder, kind), self.plan.folder
        starts, began, made = range(0, len(rows), PART_ROWS), time.monotonic(), 0
        for number, start in enumerate(starts):
            name, part = part_name(kind, number), rows[start : start + PART_ROWS]
            if name in there:
                yield there[name]
                continue
            yield write_part(self.objects, folder, name, len(part), table(part), scratch)
            made += len(part)
            a_second = made / (time.monotonic() - began)
            log.info(
                "%s: %d of %d parts, %s lists a second, about %.0f s left",
                *(kind, number + 1, len(starts), f"{a_second:,.0f}", (len(rows) - start - len(part)) / a_second),
            )


@dataclass
class Places:
    """Places of lists, and how many new items have: by their scores alone, and as written."""

    n: int = field(default=0, init=False)
    new_by_scores: int = field(default=0, init=False)
    new: int = field(default=0, init=False)

    def add(self, n: int, new_by_scores: int, new: int) -> None:
        """Count the places of some lists."""
        self.n, self.new_by_scores, self.new = self.n + n, self.new_by_scores + new_by_scores, self.new + new

    def report(self) -> None:
        """Log the share of new items in the lists that this attempt made."""
        if self.n:
            by_scores = 100 * self.new_by_scores / self.n
            log.info("new items: %.1f %% of the places (%.1f %% by score alone)", 100 * self.new / self.n, by_scores)


def _flat(names: Vocabulary, rows: Rows, items: Vocabulary, found: Ints, scores: Scores) -> list[pa.Array]:
    """Ids, ranks from 1, items and scores of all lists, one row an item."""
    place, rank = np.nonzero(found >= 0)
    return [
        names.ids.take(pa.array(rows[place])).cast(pa.string()),
        pa.array((rank + 1).astype(np.int16)),
        items.ids.take(pa.array(found[place, rank])).cast(pa.string()),
        pa.array(scores[place, rank]),
    ]
