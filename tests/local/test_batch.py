"""`make batch`: the lists of everybody as files, on what `make run` made last."""

import hashlib
import json
import re
from dataclasses import replace as replace_

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from include.recommender.errors import DataError, NotFound
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.registry.registry import Registry
from include.recommender.serving.batch import Batch
from include.recommender.serving.plan import Plan, finish
from include.recommender.storage.objects import ObjectStore
from local import batch, shell, store
from local.airflow_env import airflow_environment
from local.batch_ending import batch_ending, copy_batch
from tests.serving.versions import version as served_version

from ..conftest import BUCKET
from ..registry.makers import M1, line

SERVED = served_version()
N_USERS = len(SERVED.users)


def remember(home, port):
    """As a `make run` leaves it."""
    at = store.home_store(home, port)
    shell.write(home, at, airflow_environment(home, at, f"s3://{store.BUCKET}/samples", "sqlite://"))


@pytest.fixture
def written(s3, tmp_path):
    """A finished batch; its store, and the URI of its manifest."""
    root = ObjectStore(s3, BUCKET, "shop")
    found = Batch(root, SERVED, Plan.of(SERVED.manifest, BatchConfig(list_size=4, similar_items=3)))
    parts = [len(write(tmp_path)) for write in (found.write_users, found.write_similar)]
    return root, finish(root, found.plan, user_parts=parts[0], similar_parts=parts[1])


def change(root, uri, **fields):
    key = uri.removeprefix(root.uri(""))
    root.write(key, json.dumps(json.loads(root.read(key)) | fields).encode())


def test_the_copy_has_the_bytes_of_the_store(written, tmp_path):
    root, uri = written
    copied = copy_batch(root, uri, tmp_path / ".local")
    parts = [*copied.manifest.users, *copied.manifest.similar]
    assert {part.name.split("/")[0] for part in parts} == {"users", "similar"}
    for part in parts:
        assert hashlib.sha256((copied.folder / part.name).read_bytes()).hexdigest() == part.sha256
    assert copied.folder.is_relative_to(tmp_path / ".local" / "recommendations" / "shop" / SERVED.manifest.model_id)


def test_a_second_copy_fetches_what_is_missing_or_damaged_only(written, tmp_path, monkeypatch):
    root, uri = written
    copied = copy_batch(root, uri, tmp_path)
    users, similar = (copied.folder / rows[0].name for rows in (copied.manifest.users, copied.manifest.similar))
    whole = users.read_bytes()
    fetched = []
    download = ObjectStore.download
    monkeypatch.setattr(
        ObjectStore, "download", lambda self, info, *a, **k: (fetched.append(info.key), download(self, info, *a, **k))
    )
    for damaged in (whole[:-1], whole[:-1] + b"x"):
        fetched.clear()
        users.write_bytes(damaged)
        copy_batch(root, uri, tmp_path)
        assert [key.rsplit("/", 2)[1] for key in fetched] == ["users"]
        assert (users.read_bytes(), similar.exists()) == (whole, True)


def test_the_ending_counts_the_lists_and_says_how_to_read_them(written, tmp_path):
    root, uri = written
    copied = copy_batch(root, uri, tmp_path)
    text = batch_ending(copied, copied.folder)
    assert f"Lists:   {N_USERS} users, at most 4 items each" in text
    assert f"Similar: {len(SERVED.items)} items, at most 3 similar ones each" in text
    assert copied.uri in text
    (path,) = re.findall(r"Read: +pandas\.read_parquet\('(.*)'\)", text)
    rows = pd.read_parquet(path)
    assert rows["user"].nunique() == N_USERS
    first = rows[rows["user"] == rows["user"].iloc[0]]
    assert f"  {first['user'].iloc[0]}: {first['item'].iloc[0]} {first['score'].iloc[0]:.3f}, " in text


def test_an_ending_without_any_list_says_so(s3, tmp_path):
    root = ObjectStore(s3, BUCKET, "shop")
    plan = Plan.of(SERVED.manifest, BatchConfig(active_days=1, similar_items=0))
    copied = copy_batch(root, finish(root, plan, user_parts=0, similar_parts=0), tmp_path)
    text = batch_ending(copied, copied.folder)
    assert "No user has a list." in text
    assert "Similar:" not in text


def test_the_first_lists_are_those_of_the_first_part_that_has_some(written, tmp_path):
    root, uri = written
    copied = copy_batch(root, uri, tmp_path)
    (part,) = copied.manifest.users
    empty = replace(part, name="users/part-00009.parquet", lists=0, rows=0)
    text = batch_ending(replace_(copied, manifest=replace(copied.manifest, users=[empty, part])), copied.folder)
    assert text == batch_ending(copied, copied.folder)


@pytest.mark.parametrize(
    "columns",
    [
        None,
        {"user": ["u"], "item": ["i"]},
        {"user": ["u"], "item": ["i"], "score": ["much"]},
        {"who": ["u"], "item": ["i"], "score": [1.0]},
    ],
)
def test_a_part_with_other_contents_is_refused(written, tmp_path, columns):
    copied = copy_batch(*written, tmp_path)
    path = copied.folder / copied.manifest.users[0].name
    path.write_bytes(b"no Parquet") if columns is None else pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=r"users/part-00000\.parquet: not the lists of users"):
        batch_ending(copied, copied.folder)


def test_an_id_forges_no_line_of_the_ending(written, tmp_path):
    copied = copy_batch(*written, tmp_path)
    forged = {"user": ["u\nModel:   forged"], "item": ["i\nLists:   forged"], "score": [1.0]}
    pq.write_table(pa.table(forged), copied.folder / copied.manifest.users[0].name)
    lines = batch_ending(copied, copied.folder).splitlines()
    assert not [row for row in lines if row.endswith("forged") and row.startswith(("Model", "Lists"))]
    assert any("forged" in row for row in lines)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://elsewhere/shop/recommendations/m/p/manifest.json",
        "{root}recommendations/../channels/manifest.json",
        "{root}recommendations/m/p/q/manifest.json",
        "{root}recommendations/m/manifest.json",
        "{root}models/m/p/manifest.json",
        "{root}recommendations/m/p/other.json",
        "{root}recommendations//p/manifest.json",
        "{root}manifest.json",
        "{root}",
        "",
    ],
)
def test_an_address_that_is_of_no_batch_is_refused(written, tmp_path, uri):
    root, _ = written
    with pytest.raises(DataError, match="expected s3://"):
        copy_batch(root, uri.format(root=root.uri("")), tmp_path)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "users/part-00001.parquet", "similar/part-00000.parquet"])
def test_a_manifest_whose_part_has_another_name_is_refused_and_nothing_is_written(written, tmp_path, name):
    root, uri = written
    users = json.loads(root.read(uri.removeprefix(root.uri(""))))["users"]
    change(root, uri, users=[users[0] | {"name": name}])
    with pytest.raises(DataError, match=r"expected users/part-00000\.parquet"):
        copy_batch(root, uri, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_manifest_of_another_batch_is_refused(written, tmp_path):
    root, uri = written
    change(root, uri, plan="0" * 12)
    with pytest.raises(DataError, match="which is another batch"):
        copy_batch(root, uri, tmp_path)


def test_a_damaged_or_missing_part_is_refused(written, tmp_path):
    root, uri = written
    key = f"{uri.removeprefix(root.uri('')).rpartition('/')[0]}/users/part-00000.parquet"
    root.write(key, bytes(len(root.read(key))))
    with pytest.raises(DataError, match="SHA-256"):
        copy_batch(root, uri, tmp_path)
    root.delete([key])
    with pytest.raises(NotFound):
        copy_batch(root, uri, tmp_path)


def test_what_is_wrong_is_said_before_anything_starts(home, port, capsys):
    def said(*words):
        assert batch.main(["--local", str(home.path), "--s3-port", str(port), *words]) == 1
        return capsys.readouterr().err

    assert "holds nothing yet: `make run` or `make up` comes first" in said()
    assert "list_siz: there is no such parameter; did you mean list_size?" in said("--conf", '{"list_siz": 3}')
    assert "list_size=101" in said("--conf", '{"list_size": 101}')
    assert """e.g. CONF='{"list_size": 20}'""" in said("--conf", "[1]")
    with home.own("make up"):
        remember(home, port)
        assert "trigger recommender_batch in its UI" in said()
    with home.own("make run"):
        assert "in use by make run" in said()


@pytest.mark.parametrize("asked", [{}, {"channel": "staging"}, {"model": "20180930-ffffffffffff"}])
def test_a_version_that_is_not_there_is_named_before_airflow_starts(home, port, capsys, monkeypatch, asked):
    monkeypatch.setattr(batch, "run_dag", lambda *_: pytest.fail("started"))
    remember(home, port)
    with home.own("make run"), store.serve(home, port) as server:
        registry = Registry(ObjectStore(server.client(), store.BUCKET, "samples"))
        if asked:
            line(registry, M1)
    assert batch.main(["--local", str(home.path), "--s3-port", str(port), "--conf", json.dumps(asked)]) == 1
    assert next(iter(asked.values()), "production") in capsys.readouterr().err


@pytest.mark.slow
def test_make_batch_writes_the_lists_of_the_promoted_version(migrated_home, port, capfd):
    home = migrated_home
    words = ["--local", str(home.path), "--s3-port", str(port)]
    remember(home, port)
    with home.own("make run"), store.serve(home, port) as server:
        line(Registry(ObjectStore(server.client(), store.BUCKET, "samples")), M1)
    assert batch.main([*words, "--conf", '{"list_size": 2, "similar_items": 1}']) == 0
    output = capfd.readouterr().out
    (users,) = home.path.glob(f"recommendations/samples/{M1}/*/users")
    rows = pd.read_parquet(users)
    assert f"Lists:   {rows['user'].nunique()} users, at most 2 items each\n         {users}\n" in output
    assert rows.groupby("user").size().max() <= 2
    assert not store.serves(f"http://{store.HOST}:{port}")
