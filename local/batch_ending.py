"""How a batch ended: copies of its lists below `.local/recommendations`, and text that says how to read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from include.recommender.errors import DataError
from include.recommender.plain_text import shown
from include.recommender.registry.batches import FOLDER
from include.recommender.registry.bundle import MANIFEST
from include.recommender.serving.parts import Kind, Part, part_name
from include.recommender.serving.plan import BatchManifest, read_batch
from include.recommender.storage.digests import file_sha256
from include.recommender.storage.objects import ObjectStore
from include.recommender.storage.plain_names import name_problem

SHOWN_USERS, SHOWN_ITEMS = 3, 5
SHOWN_COLUMNS = pa.schema([("user", pa.string()), ("item", pa.string()), ("score", pa.float32())])


@dataclass(frozen=True)
class CopiedBatch:
    """A batch and the folder of its copy on this machine."""

    manifest: BatchManifest
    folder: Path
    uri: str


def copy_batch(root: ObjectStore, uri: str, local: Path) -> CopiedBatch:
    """Copy the parts of a finished batch, each verified by its SHA-256; what is copied and whole stays.

    Parameters
    ----------
    uri : of its manifest, as a run recorded it
    local : the `.local` directory; the copy lies below `recommendations/<root>/<model_id>/<plan>/`

    Raises
    ------
    DataError
        The URI or the manifest does not name a batch of this root, or a part is damaged.
    NotFound
        The manifest or a part is not there.
    """
    folder = _folder(root, uri)
    manifest = read_batch(root, folder)
    if manifest.folder != folder:
        raise DataError(f"{uri}: is the manifest of {manifest.folder!a}, which is another batch")
    to = local / FOLDER / root.prefix / manifest.model_id / manifest.plan
    for part in (*_named(uri, "users", manifest.users), *_named(uri, "similar", manifest.similar)):
        path = to / part.name
        if not path.is_file() or file_sha256(path) != part.sha256:
            path.parent.mkdir(parents=True, exist_ok=True)
            root.download(root.head(f"{folder}/{part.name}"), path, sha256=part.sha256)
    return CopiedBatch(manifest, to, root.uri(folder))


def _folder(root: ObjectStore, uri: str) -> str:
    names = uri.removeprefix(root.uri("")).split("/")
    plain = len(names) == 4 and not any(map(name_problem, names))
    if not plain or not uri.startswith(root.uri("")) or (names[0], names[3]) != (FOLDER, MANIFEST):
        raise DataError(f"{uri!a}: expected {root.uri(FOLDER)}/<model_id>/<plan>/{MANIFEST}")
    return "/".join(names[:3])


def _named(uri: str, kind: Kind, parts: Sequence[Part]) -> Iterator[Part]:
    """The parts, whose names become paths: only those that a batch writes are taken."""
    for number, part in enumerate(parts):
        if part.name != part_name(kind, number):
            raise DataError(f"{uri}: names the part {part.name!a}, expected {part_name(kind, number)}")
        yield part


def batch_ending(copied: CopiedBatch, folder: Path) -> str:
    """How many lists there are, the first of them, where they lie, and how to read them.

    Parameters
    ----------
    folder : of the copy, as it is shown
    """
    manifest = copied.manifest
    lines = ["", *_lists(copied.folder, manifest), ""]
    lines += [
        f"Model:   {manifest.model_id}, as of {manifest.as_of:%Y-%m-%d %H:%M}",
        f"Lists:   {_count(manifest.users)} users, at most {manifest.list_size} items each",
        f"         {folder / 'users'}",
    ]
    if manifest.similar:
        lines += [
            f"Similar: {_count(manifest.similar)} items, at most {manifest.similar_items} similar ones each",
            f"         {folder / 'similar'}",
        ]
    read = f"pandas.read_parquet({str(folder / 'users')!r})"
    return "\n".join([*lines, f"Kept in: {copied.uri}/", f"Read:    {read}, in Python or a notebook"])


def _count(parts: Sequence[Part]) -> str:
    return f"{sum(part.lists for part in parts):,}"


def _lists(folder: Path, manifest: BatchManifest) -> Iterator[str]:
    """The first lists, from the first part that has any. Raises DataError where that is not what a batch writes."""
    part = next((each for each in manifest.users if each.rows), None)
    if part is None:
        yield "No user has a list."
        return
    try:
        file = pq.ParquetFile(folder / part.name)
        read = file.iter_batches(SHOWN_USERS * max(1, manifest.list_size), columns=["user", "item", "score"])
        rows = [row for some in islice(read, 1) for row in some.cast(SHOWN_COLUMNS).to_pylist()]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{folder / part.name}: not the lists of users ({error})") from error
    yield "The first lists:"
    for user, own in islice(groupby(rows, itemgetter("user")), SHOWN_USERS):
        items = (f"{shown(str(row['item']))} {row['score'] or 0:.3f}" for row in islice(own, SHOWN_ITEMS))
        yield f"  {shown(str(user))}: {', '.join(items)}"
