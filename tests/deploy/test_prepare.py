"""What the service `init` prepares: bucket, samples; and that it may run again."""

import os

import pytest

from deploy import prepare
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.registry.channels import Channels
from include.recommender.storage.objects import ObjectStore
from samples.generated import snapshot_dates

from ..conftest import BUCKET
from .calls import recorded
from .policies import granted, statements


@pytest.fixture
def environment(deployment, tmp_path):
    """The environment of the service on an S3 server; its bucket does not exist yet."""
    return {
        "RECOMMENDER_ROOT": "s3://brand-new/shop",
        "RECOMMENDER_CACHE": str(tmp_path / "cache"),
    }


def listing(s3):
    return {row["Key"]: row["ETag"] for row in s3.list_objects_v2(Bucket="brand-new").get("Contents", [])}


def test_prepares_once_and_may_run_again(environment, s3, capsys):
    prepare.prepare(environment)
    first = listing(s3)
    assert len(first) == len(snapshot_dates())
    assert all(key.startswith("shop/snapshots/2") for key in first)
    assert "bucket brand-new: created" in capsys.readouterr().out

    prepare.prepare(environment)
    assert listing(s3) == first
    assert "kept as it is" in capsys.readouterr().out


def test_no_samples_where_the_setting_says_so(environment, s3):
    prepare.prepare(environment | {prepare.SAMPLES: "0"})
    assert listing(s3) == {}
    with pytest.raises(ConfigError, match="RECOMMENDER_SAMPLES='no': expected 1"):
        prepare.prepare(environment | {prepare.SAMPLES: "no"})


@pytest.mark.slow
def test_a_load_that_was_cut_off_is_done_again(environment, s3):
    prepare.prepare(environment)
    whole = listing(s3)
    for key in sorted(whole)[1:]:
        s3.delete_object(Bucket="brand-new", Key=key)
    prepare.prepare(environment)
    assert listing(s3) == whole


def test_no_samples_beside_somebodys_own_snapshots(workspace, s3):
    s3.put_object(Bucket=workspace.snapshots.bucket, Key="shop/snapshots/2018-10-02/reviews.json", Body=b"{}")
    assert prepare.load_samples(workspace.snapshots) == 0
    assert workspace.snapshots.folders() == ["2018-10-02"]


def test_a_refusal_of_the_store_names_the_bucket(s3):
    with pytest.raises(RecommenderError, match=r"s3://ab: .*InvalidBucketName"):
        prepare.ensure_bucket(ObjectStore(s3, "ab"), "channels")


def test_an_existing_bucket_is_kept(s3):
    assert prepare.ensure_bucket(ObjectStore(s3, "another"), "channels") is True
    assert prepare.ensure_bucket(ObjectStore(s3, "another", "shop"), "") is False


def test_a_role_that_may_only_list_its_prefixes_is_enough_where_the_bucket_is_there(s3):
    asked = []
    s3.create_bucket(Bucket="narrow")
    s3.meta.events.register("before-parameter-build.s3", lambda params, model, **_: asked.append((model.name, params)))
    assert prepare.ensure_bucket(ObjectStore(s3, "narrow", "shop"), "channels") is False
    assert [(name, params["Prefix"]) for name, params in asked] == [("ListObjectsV2", "shop/channels/")]


def test_on_aws_the_rights_of_the_machine_are_enough(deployment, tmp_path, monkeypatch):
    monkeypatch.setattr("include.recommender.registry.atomicity._proven", set())
    cache = {"RECOMMENDER_CACHE": str(tmp_path / "cache")}
    with recorded(monkeypatch) as recorder:
        prepare.prepare({"RECOMMENDER_ROOT": f"s3://{BUCKET}/shop", prepare.SAMPLES: "0", **cache})
    refused = {right for right in recorder.rights if not granted(statements("dag"), right)}
    # The race of the store removes its objects where it may.
    assert {(right.action, "/channels/.probe-" in right.resource) for right in refused} == {("s3:DeleteObject", True)}
    assert {"PutObject", "ListObjectsV2"} <= recorder.calls


def test_the_store_of_the_samples_is_below_the_root(environment, s3):
    prepare.prepare(environment | {"RECOMMENDER_SNAPSHOTS": "s3://second-bucket/reviews"})
    assert listing(s3) == {}
    assert len(ObjectStore(s3, "second-bucket", "reviews").folders()) == len(snapshot_dates())


def test_a_store_that_is_not_safe_stops_the_start_before_anything_is_loaded(environment, s3, monkeypatch, capsys):
    def unsafe(channels):
        raise ConfigError("the store is not safe for promotions")

    monkeypatch.setattr(Channels, "probe", unsafe)
    monkeypatch.setattr(os, "environ", {**os.environ, **environment})
    assert prepare.main() == 1
    assert "not safe for promotions" in capsys.readouterr().err
    assert listing(s3) == {}
