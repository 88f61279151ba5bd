"""Artifacts: visible only when whole, verified when read, made at most once."""

import json

import pytest

from include.recommender.errors import ConfigError, DataError, NotFound
from include.recommender.stages.workspace import Stage, run_once
from include.recommender.storage.artifacts import fingerprint
from include.recommender.storage.objects import split_uri

from ..conftest import BUCKET


def make(directory):
    (directory / "a.txt").write_text("alpha")
    (directory / "b.txt").write_text("beta")
    return {"letters": 9}


def test_a_stage_runs_once_for_the_same_inputs(workspace):
    first = run_once(workspace, Stage("stage", "1"), config={"x": 1}, inputs={"input": "d"}, make=make)
    again = run_once(
        workspace,
        Stage("stage", "1"),
        config={"x": 1},
        inputs={"input": "d"},
        make=lambda directory: pytest.fail("ran twice"),
    )
    assert (first.reused, again.reused) == (False, True)
    assert again.artifact == first.artifact
    assert (workspace.artifacts.path(again.artifact) / "a.txt").read_text() == "alpha"


@pytest.mark.parametrize(
    "other",
    [
        ("other", 1, {"x": 1}, {"i": "d"}),
        ("s", 2, {"x": 1}, {"i": "d"}),
        ("s", 1, {"x": 2}, {"i": "d"}),
        ("s", 1, {"x": 1}, {"i": "e"}),
    ],
)
def test_each_part_of_the_identity_counts(other):
    assert fingerprint(*other) != fingerprint("s", 1, {"x": 1}, {"i": "d"})


def test_a_stage_that_fails_leaves_nothing_behind(workspace):
    def fail(directory):
        make(directory)
        raise DataError("bad")

    with pytest.raises(DataError):
        run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=fail)
    assert list(workspace.root.walk("artifacts/")) == []
    assert [path.name for path in workspace.cache.iterdir()] == []


def test_without_a_manifest_there_is_no_artifact(workspace, s3):
    made = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    s3.delete_object(Bucket=BUCKET, Key=f"shop/artifacts/stage/{made.fingerprint}/manifest.json")
    with pytest.raises(NotFound, match="Clear the task stage"):
        workspace.artifacts.open(made.uri)
    again = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make)
    assert (again.reused, again.artifact.files) == (False, made.files)


def test_a_damaged_cached_copy_is_fetched_again(workspace):
    made = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    (workspace.artifacts.path(made) / "a.txt").write_text("alphA")
    assert (workspace.artifacts.path(made) / "a.txt").read_text() == "alpha"


@pytest.mark.parametrize(("body", "expected"), [(b"alphA", "SHA-256 is"), (b"alpha!", "6 bytes, the manifest has 5")])
def test_a_damaged_object_is_refused_by_name(workspace, s3, body, expected):
    made = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    (workspace.artifacts.path(made) / "a.txt").unlink()
    s3.put_object(Bucket=BUCKET, Key=f"shop/{made.key('a.txt')}", Body=body)
    with pytest.raises(DataError, match=f"a.txt: {expected}"):
        workspace.artifacts.path(made)


def test_a_manifest_that_is_not_one_says_what_to_delete(workspace, s3):
    made = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    s3.put_object(Bucket=BUCKET, Key=f"shop/artifacts/stage/{made.fingerprint}/manifest.json", Body=b"{}")
    with pytest.raises(DataError, match=r"not a manifest.*Delete the folder"):
        workspace.artifacts.open(made.uri)


@pytest.mark.parametrize("uri", ["http://x/y", "s3:///y", "bucket/prefix", ""])
def test_what_is_not_an_s3_uri_is_refused(uri):
    with pytest.raises(ConfigError, match="expected s3://bucket"):
        split_uri(uri)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", ".hidden", ""])
def test_a_manifest_cannot_name_a_file_outside_its_directory(workspace, s3, name):
    made = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    key = f"shop/artifacts/stage/{made.fingerprint}/manifest.json"
    body = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    body["files"] = {name: {"size_bytes": 0, "sha256": ""}}
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(body).encode())
    with pytest.raises(DataError, match="not a manifest"):
        workspace.artifacts.open(made.uri)
