"""Lists of everybody as Parquet: those of the library, whole after any interruption, and the same bytes."""

import ast
import hashlib
import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from include.recommender.errors import DataError, NotFound
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.serving import Filters, Recommender, Request, batch
from include.recommender.serving import plan as plan_module
from include.recommender.serving.batch import Batch
from include.recommender.serving.plan import Plan, finish, read_batch
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from ..registry.makers import M1, publish
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
        found = planned(objects or ObjectStore(s3, BUCKET, root), served, **settings)
        users, similar = found.write_users(tmp_path), found.write_similar(tmp_path)
        finish(found.objects, found.plan, user_parts=len(users), similar_parts=len(similar))
        return found, read_batch(found.objects, found.plan.folder)

    return one


def planned(objects, served=VERSION, **settings):
    return Batch(objects, served, Plan.of(served.manifest, BatchConfig(**settings)))


def table_of(found, parts):
    rows = [
        pq.read_table(pa_buffer(found.objects.read(f"{found.plan.folder}/{part.name}"))).to_pylist() for part in parts
    ]
    return [row for part in rows for row in part]


def pa_buffer(raw):
    import pyarrow as pa

    return pa.BufferReader(raw)


def test_each_user_has_the_list_of_the_library(made):
    found, manifest = made(list_size=7, similar_items=0)
    rows = table_of(found, manifest.users)
    answers = Recommender(VERSION).recommend([Request(user=user, k=7) for user in USERS])
    expected = {
        (user, rank, scored.item, scored.score)
        for user, answer in zip(USERS, answers, strict=True)
        for rank, scored in enumerate(answer.items, 1)
    }
    assert {(row["user"], row["rank"], row["item"], row["score"]) for row in rows} == expected
    assert len(rows) == len(expected) == 7 * len(USERS)
    assert {row["family"] for row in rows} == {"blend"}
    assert [part.lists for part in manifest.users] == [3, 3, 2]
    assert (manifest.model_id, manifest.list_size) == (VERSION.manifest.model_id, 7)


def test_new_items_have_their_share_of_each_list_as_in_the_library(made, caplog):
    """And the log has their share of all places, before and after."""
    caplog.set_level("INFO", logger=batch.__name__)
    share = {"new_item_share": 0.45, "new_item_days": 60}
    found, manifest = made(list_size=7, similar_items=0, **share)
    (line,) = (record.message for record in caplog.records if "new items" in record.message)
    rows = table_of(found, manifest.users)
    asked = [Request(user=user, k=7, new_share=0.45, new_item_days=60) for user in USERS]
    expected = [
        (user, rank, scored.item, scored.score)
        for user, answer in zip(USERS, Recommender(VERSION).recommend(asked), strict=True)
        for rank, scored in enumerate(answer.items, 1)
    ]
    assert [(row["user"], row["rank"], row["item"], row["score"]) for row in rows] == expected
    assert (manifest.new_item_share, manifest.new_item_days) == (0.45, 60)

    new = set(VERSION.items.names(VERSION.new_items(60).items))
    plain = table_of(*whole(made(list_size=7, similar_items=0)))
    after, before = (sum(row["item"] in new for row in each) / len(each) for each in (rows, plain))
    assert after >= 4 / 7 > before
    assert line == f"new items: {after:.1%} of the places ({before:.1%} by score alone)".replace("%", " %")


def whole(written):
    found, manifest = written
    return found, manifest.users


def test_a_batch_whose_parts_are_all_there_reports_no_share(made, caplog):
    caplog.set_level("INFO", logger=batch.__name__)
    made(similar_items=0)
    made(similar_items=0)
    assert sum("new items" in record.message for record in caplog.records) == 1


def test_a_manifest_from_before_new_items_had_a_share_is_read(made, s3):
    found, manifest = made(similar_items=0)
    key = f"{found.plan.folder}/manifest.json"
    old = json.loads(found.objects.read(key))
    del old["new_item_share"], old["new_item_days"]
    found.objects.write(key, json.dumps(old).encode())
    assert read_batch(found.objects, found.plan.folder) == manifest


def test_each_item_has_the_similar_items_of_the_library(made):
    small = version(n_items=20)
    found, manifest = made(served=small, similar_items=4)
    rows = table_of(found, manifest.similar)
    for item in small.items.ids.to_pylist():
        own = [(row["similar_item"], row["cosine"]) for row in rows if row["item"] == item]
        assert own == [(scored.item, scored.score) for scored in Recommender(small).similar(item, Filters(k=4)).items]
    assert made(served=small, similar_items=0)[1].similar == []


def test_an_item_without_factors_is_like_no_other_and_no_other_like_it(made):
    small = version(n_items=20)
    small.measure.args[0][[3, 7]] = 0.0
    found, manifest = made(served=small, similar_items=19)
    ids, rows = small.items.ids.to_pylist(), table_of(found, manifest.similar)
    assert sum(part.lists for part in manifest.similar) == 20
    assert not {ids[3], ids[7]} & {row[name] for row in rows for name in ("item", "similar_item")}
    assert min(row["cosine"] for row in rows) > 0
    assert Recommender(small).similar(ids[3]).items == ()
    assert Recommender(small).similar(ids[0], Filters(k=19)).items


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

    def upload(self, path, key, metadata=None):
        self._next()
        return super().upload(path, key, metadata)


def everything(s3, root):
    rows = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{root}/").get("Contents", [])
    found = {row["Key"].removeprefix(root): s3.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read() for row in rows}
    return {key: hashlib.sha256(raw).hexdigest() for key, raw in found.items()}


def test_a_batch_that_dies_at_any_write_ends_with_the_same_bytes_and_repeats_no_part(made, s3):
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
            read_batch(again, planned(again, small).plan.folder)
        made(objects=again, served=small)
        assert everything(s3, root) == expected
        assert again.writes == n_writes - at


def same_size(found, name):
    raw = found.objects.read(name)
    return raw[:-1] + bytes([raw[-1] ^ 1])


@pytest.mark.parametrize("damage", [lambda *_: b"short", same_size], ids=["cut short", "of the same size"])
def test_a_part_that_was_overwritten_is_written_again(made, s3, damage):
    found, manifest = made(similar_items=0)
    before = everything(s3, "shop")
    key = f"{found.plan.folder}/{manifest.users[1].name}"
    found.objects.write(key, damage(found, key))
    with pytest.raises(DataError, match=r"users/part-00001.parquet: is not there, or is not what was written \(1 of 3"):
        finish(found.objects, found.plan, user_parts=3, similar_parts=0)
    made(similar_items=0)
    assert everything(s3, "shop") == before


def test_the_manifest_has_the_digest_of_each_part(made):
    found, manifest = made(served=version(n_items=8))
    for part in [*manifest.users, *manifest.similar]:
        raw = found.objects.read(f"{found.plan.folder}/{part.name}")
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (part.size_bytes, part.sha256)


def test_each_configuration_and_model_has_a_folder_of_its_own():
    def folder(served=VERSION, **settings):
        return Plan.of(served.manifest, BatchConfig(**settings)).folder

    other = version(n_items=8, label="other")
    changed = [
        {"list_size": 9},
        {"active_days": 9},
        {"similar_items": 9},
        {"new_item_share": 0.1},
        {"new_item_days": 9},
    ]
    folders = [folder(**settings) for settings in ({}, *changed)]
    assert len({*folders, folder(other)}) == 7
    assert folder() == folder(new_item_share=0) == folder(model=VERSION.manifest.model_id)
    assert folder().startswith(f"recommendations/{VERSION.manifest.model_id}/")
    assert folder(other).startswith(f"recommendations/{other.manifest.model_id}/")


def test_all_modules_that_make_a_list_decide_on_the_folder():
    imported = {
        f"serving.{node.module}"
        for node in ast.walk(ast.parse(Path(batch.__file__).read_text()))
        if isinstance(node, ast.ImportFrom) and node.level == 1
    }
    assert imported - {"serving.plan"} <= set(plan_module.LISTING)


def test_two_models_below_one_root_do_not_touch_each_other(made, s3):
    small, other = version(n_items=8), version(n_items=8, seed=1, label="other")
    first, _ = made(served=small, similar_items=0)
    before = everything(s3, "shop")
    second, manifest = made(served=other, similar_items=0)
    assert manifest.model_id == other.manifest.model_id != small.manifest.model_id
    assert before.items() < everything(s3, "shop").items()
    assert table_of(first, read_batch(first.objects, first.plan.folder).users) != table_of(second, manifest.users)


def test_code_that_changed_since_the_plan_is_refused(workspace, tmp_path, monkeypatch):
    name = publish(workspace.registry, M1)
    plan = Plan.of(workspace.registry.manifest(name), BatchConfig())
    assert Batch.open(workspace.registry, plan, tmp_path).plan == plan
    monkeypatch.setattr(plan_module, "LISTING", plan_module.LISTING[1:])
    with pytest.raises(DataError, match=r"the code or its libraries changed.*Clear resolve_model"):
        Batch.open(workspace.registry, plan, tmp_path)


def test_a_batch_of_which_a_part_is_missing_is_not_finished(s3, tmp_path):
    found = planned(ObjectStore(s3, BUCKET, "shop"))
    users = found.write_users(tmp_path)
    with pytest.raises(DataError, match=r"similar/part-00000.parquet: is not there.*Clear resolve_model"):
        finish(found.objects, found.plan, user_parts=len(users), similar_parts=1)
    with pytest.raises(NotFound):
        read_batch(found.objects, found.plan.folder)


def test_duckdb_reads_it_as_the_docs_say(made, s3, tmp_path):
    found, manifest = made(similar_items=0)
    for part in manifest.users:
        path = tmp_path / part.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(found.objects.read(f"{found.plan.folder}/{part.name}"))
    query = f"SELECT item, score FROM '{tmp_path}/users/*.parquet' WHERE \"user\" = ? ORDER BY rank"
    rows = duckdb.execute(query, [USERS[-1]]).fetchall()
    (answer,) = Recommender(VERSION).recommend([Request(user=USERS[-1])])
    assert rows == [(scored.item, pytest.approx(scored.score)) for scored in answer.items]
