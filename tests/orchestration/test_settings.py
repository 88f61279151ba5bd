"""Where a deployment keeps things, and with which credentials: checked before anything is read or written."""

import json

import pytest

from include.orchestration.settings import Settings, s3_client
from include.recommender.errors import ConfigError

from ..storage.answers import answering

SECRET = "hunter2hunter2"


def settings(root, snapshots="", connection=""):
    given = {"RECOMMENDER_ROOT": root, "RECOMMENDER_SNAPSHOTS": snapshots, "RECOMMENDER_AWS_CONN_ID": connection}
    return Settings.from_environment({**given, "HOME": "/home/somebody"})


@pytest.mark.parametrize(
    ("root", "snapshots", "found"),
    [
        ("s3://bucket/", "", ("s3://bucket", "s3://bucket/snapshots")),
        ("s3://bucket/team#1/x/", "", ("s3://bucket/team#1/x", "s3://bucket/team#1/x/snapshots")),
        ("s3://bucket/a", "s3://other/b/", ("s3://bucket/a", "s3://other/b")),
        ("s3://bucket/shop", "s3://bucket", ("s3://bucket/shop", "s3://bucket")),
        ("s3://bucket/shop", "s3://bucket/shop-artifacts", ("s3://bucket/shop", "s3://bucket/shop-artifacts")),
        ("s3://bucket/shop", "s3://bucket/shop/modelsets", ("s3://bucket/shop", "s3://bucket/shop/modelsets")),
    ],
)
def test_places_are_read_literally(root, snapshots, found):
    read = settings(root, snapshots)
    assert (read.root, read.snapshots) == found


@pytest.mark.parametrize(
    ("root", "snapshots", "expected"),
    [
        ("s3://bucket//", "", "RECOMMENDER_ROOT: .*//"),
        ("s3a://bucket", "", "RECOMMENDER_ROOT: .*write s3://"),
        ("s3://bucket/" + "x" * 513, "", "at most 512"),
        ("s3://bucket/shop", "s3://bucket/shop/artifacts", "writes itself"),
        ("s3://bucket/shop", "s3://bucket/shop/models/x", "writes itself"),
        ("s3://bucket", "s3://bucket/channels", "writes itself"),
        ("s3://bucket/snap/2018-10-01", "s3://bucket/snap", "lies in a snapshot"),
        ("s3://bucket/snap/2018-10-01/x", "s3://bucket/snap", "lies in a snapshot"),
    ],
)
def test_places_that_cannot_work_are_refused(root, snapshots, expected):
    with pytest.raises(ConfigError, match=expected):
        settings(root, snapshots)


def test_all_wrong_places_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        settings("s3://b", "https://x/y")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["RECOMMENDER_ROOT", "RECOMMENDER_SNAPSHOTS"]


def connection(**fields):
    return json.dumps({"conn_type": "aws", "login": "key", "password": SECRET, **fields})


@pytest.fixture
def machine(deployment, monkeypatch):
    """A machine that has credentials of its own, which must not be used by accident."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return monkeypatch


def test_an_unknown_connection_is_named_with_those_there_are_and_uses_no_credentials(machine):
    machine.setenv("AIRFLOW_CONN_SHOP", connection())
    with pytest.raises(ConfigError) as caught:
        s3_client("shpo")
    message = str(caught.value)
    assert "no Airflow connection shpo" in message
    assert "aws_default, shop" in message
    assert "airflow connections add shpo" in message


def test_the_machines_credentials_are_used_where_a_connection_without_keys_asks_for_them(machine):
    machine.setenv("AIRFLOW_CONN_ROLE", json.dumps({"conn_type": "aws", "extra": {"region_name": "eu-west-1"}}))
    client = s3_client("role")
    assert client._request_signer._credentials.access_key == "machine"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (connection(conn_type="postgres"), "type is postgres, expected aws"),
        (connection(conn_type="s3"), "type is s3, expected aws"),
        (connection(extra='{"endpoint_url": "' + SECRET), "extra is not JSON .line 1, column 18"),
        (connection(extra='["' + SECRET + '"]'), "not a JSON object"),
        (connection(extra={"endpoint_url": "localhost:9000"}), "endpoint_url of extra is no address"),
        (connection(extra={"endpoint_url": f"https://me:{SECRET}@host"}), "endpoint_url of extra holds a login"),
        (
            connection(extra={"service_config": {"s3": {"endpoint_url": f"https://me:{SECRET}@host"}}}),
            "endpoint_url of service_config.s3 holds a login",
        ),
        (connection(extra={"config_kwargs": {"no_such_option": 1}}), "cannot be used.*no_such_option"),
        (connection(extra={"profile_name": "nobody"}), "nobody.*could not be found"),
        (connection(password=""), "secret key"),
        ('{"conn_type": "aws", "password": "' + SECRET, "AIRFLOW_CONN_SHOP is set, and Airflow cannot read it"),
    ],
)
def test_a_connection_that_cannot_be_used_is_named_without_its_values(machine, caplog, text, expected):
    machine.setenv("AIRFLOW_CONN_SHOP", text)
    with pytest.raises(ConfigError, match=expected) as caught:
        s3_client("shop")
    assert "shop" in str(caught.value).lower()
    assert SECRET not in str(caught.value) + repr(caught.value.__cause__) + caplog.text


def test_a_role_that_cannot_be_assumed_is_a_fault_of_settings(machine, tmp_path):
    body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    with answering(403, body) as (endpoint, seen):
        extra = {
            "region_name": "us-east-1",
            "role_arn": "arn:aws:iam::123456789012:role/none",
            "service_config": {"sts": {"endpoint_url": endpoint}},
        }
        machine.setenv("AIRFLOW_CONN_SHOP", connection(extra=extra))
        with pytest.raises(ConfigError, match=r"connection shop: access denied: the role cannot be assumed.*role_arn"):
            s3_client("shop")
    assert len(seen) == 1
