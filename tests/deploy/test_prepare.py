"""What the service `init` prepares: login, bucket, samples; and that it may run again."""

import json
import os
import stat

import pytest

from deploy import prepare
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.registry.channels import Channels
from include.recommender.storage.objects import ObjectStore
from samples.generated import snapshot_dates

LOGIN = "login.json"


@pytest.fixture
def environment(deployment, tmp_path):
    """The environment of the service on an S3 server; its bucket does not exist yet."""
    return {
        "RECOMMENDER_ROOT": "s3://brand-new/shop",
        "RECOMMENDER_CACHE": str(tmp_path / "cache"),
        prepare.PASSWORDS_FILE: str(tmp_path / LOGIN),
        prepare.ADMIN_PASSWORD: "first",
    }


def listing(s3):
    return {row["Key"]: row["ETag"] for row in s3.list_objects_v2(Bucket="brand-new").get("Contents", [])}


def test_prepares_once_and_may_run_again(environment, s3, tmp_path, capsys):
    prepare.prepare(environment)
    first = listing(s3)
    assert len(first) == len(snapshot_dates())
    assert all(key.startswith("shop/snapshots/2") for key in first)
    assert "first" not in capsys.readouterr().out

    prepare.prepare(environment | {prepare.ADMIN_PASSWORD: "second"})
    assert listing(s3) == first
    assert "kept as it is" in capsys.readouterr().out
    path = tmp_path / LOGIN
    assert json.loads(path.read_text()) == {"admin": "second"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


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


def test_a_missing_password_is_named(environment):
    del environment[prepare.ADMIN_PASSWORD]
    with pytest.raises(ConfigError, match=r"AIRFLOW_ADMIN_PASSWORD.*make_env"):
        prepare.prepare(environment)


def test_a_refusal_of_the_store_names_the_bucket(s3):
    with pytest.raises(RecommenderError, match=r"s3://ab: .*InvalidBucketName"):
        prepare.ensure_bucket(s3, "ab")


def test_an_existing_bucket_is_kept(s3):
    assert prepare.ensure_bucket(s3, "another") is True
    assert prepare.ensure_bucket(s3, "another") is False


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
