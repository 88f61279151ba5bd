"""Lists of everybody as Parquet: those of the library, whole after any interruption, and the same bytes."""

import hashlib
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from include.recommender.errors import DataError, NotFound
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.serving import Filters, Recommender, Request, batch
from include.recommender.serving.batch import Batch, read_batch
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from .versions import version

VERSION = version()
USERS = VERSION.users.ids.to_pylist()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(batch, "PART_ROWS", 3)


@pytest.fixture
def made(s3, tmp_path):
    """Write a batch below a root; return it and its manifest."""

    def one(root="shop", objects=None, served=VERSION, **settings):
        found = Batch(objects or ObjectStore(s3, BUCKET, root), served, BatchConfig(**settings))
        found.write_users(tmp_path)
        found.write_similar(tmp_path)
        found.finish()
        return found, read_batch(found.objects, found.folder)

    return one


def table_of(found, parts):
    rows = [pq.read_table(pa_buffer(found.objects.read(f"{found.folder}/{part.name}"))).to_pylist() for part in parts]
    return [row for part in rows for row in part]


def pa_buffer(raw):
    import pyarrow as pa

    return pa.BufferReader(raw)


def test_each_user_has_the_list_of_the_library(made):
    found, manifest = made(list_size=7)
    rows = table_of(found, manifest.users)
    answers = Recommender(VERSION).recommend([Request(user=user, k=7) for user in USERS])
    expected = {
        (user, rank, scored.item, scored.score)
        for user, answer in zip(USERS, answers, strict=True)
        for rank, scored in enumerate(answer.items, 1)
    }
    assert {(row["user"], row["rank"], row["item"], row["score"]) for row in rows} == expected
    assert len(rows) == len(expected) == 7 * len(USERS)
    assert {row["family"] for row in rows} == {"als"}
    assert [part.lists for part in manifest.users] == [3, 3, 2]
    assert (manifest.model_id, manifest.list_size) == (VERSION.manifest.model_id, 7)


def test_each_item_has_the_similar_items_of_the_library(made):
    small = version(n_items=20)
    found, manifest = made(served=small, similar_items=4)
    rows = table_of(found, manifest.similar)
    for item in small.items.ids.to_pylist():
        own = [(row["similar_item"], row["cosine"]) for row in rows if row["item"] == item]
        assert own == [(scored.item, scored.score) for scored in Recommender(small).similar(item, Filters(k=4)).items]
    assert made(served=small, similar_items=0)[1].similar == []


def test_only_active_users_get_a_list(made):
    newest = np.maximum.reduceat(VERSION.seen.times, VERSION.seen.indptr[:-1])
    days = int((VERSION.manifest.published_split_s - np.sort(newest)[-3]) // 86_400) + 1
    found, manifest = made(active_days=days, similar_items=0)
    since = VERSION.manifest.published_split_s - days * 86_400
    assert {row["user"] for row in table_of(found, manifest.users)} == {
        user for user, last in zip(USERS, newest, strict=True) if last >= since
    }
    assert 0 < sum(part.lists for part in manifest.users) < len(USERS)


class Stops(Exception):
    """Stands for a kill."""


class Dying(ObjectStore):
    """A store at which a task dies before one of its writes."""

    writes = 0
    dies_at = None

    def _next(self):
        if self.writes == self.dies_at:
            raise Stops
        object.__setattr__(self, "writes", self.writes + 1)

    def write(self, key, data, **conditions):
        self._next()
        return super().write(key, data, **conditions)

    def upload(self, path, key):
        self._next()
        return super().upload(path, key)


def everything(s3, root):
    rows = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{root}/").get("Contents", [])
    found = {row["Key"].removeprefix(root): s3.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read() for row in rows}
    return {key: hashlib.sha256(raw).hexdigest() for key, raw in found.items()}


def test_a_batch_that_dies_at_any_write_ends_with_the_same_bytes_and_repeats_no_whole_part(made, s3):
    small = version(n_items=8)
    made("whole", served=small)
    expected = everything(s3, "whole")
    n_writes = len(expected)
    for at in range(n_writes):
        root = f"killed{at}"
        dying = Dying(s3, BUCKET, root)
        object.__setattr__(dying, "dies_at", at)
        with pytest.raises(Stops):
            made(objects=dying, served=small)
        again = Dying(s3, BUCKET, root)
        with pytest.raises(NotFound):
            read_batch(again, Batch(again, small, BatchConfig()).folder)
        made(objects=again, served=small)
        assert everything(s3, root) == expected
        # At most the part that was written and not marked is written once more.
        assert n_writes - at <= again.writes <= n_writes - at + 1


def test_a_part_that_was_cut_short_is_written_again(made, s3):
    found, manifest = made()
    before = everything(s3, "shop")
    found.objects.write(f"{found.folder}/{manifest.users[1].name}", b"short")
    made()
    assert everything(s3, "shop") == before


def test_another_configuration_or_model_has_a_folder_of_its_own(made):
    other = replace(VERSION, manifest=VERSION.manifest)
    folders = {
        made(**settings)[0].folder for settings in ({}, {"list_size": 9}, {"active_days": 9}, {"similar_items": 9})
    }
    assert len(folders) == 4
    assert made(served=other)[0].folder == made()[0].folder == made(model=VERSION.manifest.model_id)[0].folder
    assert all(folder.startswith(f"recommendations/{VERSION.manifest.model_id}/") for folder in folders)


def test_a_batch_of_which_a_part_is_missing_is_not_finished(made, s3, tmp_path):
    found = Batch(ObjectStore(s3, BUCKET, "shop"), VERSION, BatchConfig())
    found.write_users(tmp_path)
    with pytest.raises(DataError, match=r"similar/part-00000.parquet: is not there.*Clear resolve_model"):
        found.finish()
    with pytest.raises(NotFound):
        read_batch(found.objects, found.folder)


def test_duckdb_reads_it_as_the_docs_say(made, s3, tmp_path):
    found, manifest = made()
    for part in manifest.users:
        path = tmp_path / part.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(found.objects.read(f"{found.folder}/{part.name}"))
    query = f"SELECT item, score FROM '{tmp_path}/users/*.parquet' WHERE \"user\" = ? ORDER BY rank"
    rows = duckdb.execute(query, [USERS[-1]]).fetchall()
    (answer,) = Recommender(VERSION).recommend([Request(user=USERS[-1])])
    assert rows == [(scored.item, pytest.approx(scored.score)) for scored in answer.items]
