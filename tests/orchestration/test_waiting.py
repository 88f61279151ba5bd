"""Waiting for a snapshot: what the trigger finds, and when it gives up."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from include.orchestration.waiting import SnapshotTrigger
from include.recommender.data.snapshots import has_landed

from ..conftest import BUCKET

SNAPSHOTS = f"s3://{BUCKET}/shop/snapshots"


def put(s3, name):
    s3.put_object(Bucket=BUCKET, Key=f"shop/snapshots/{name}", Body=b"x")


def event(snapshot="2018-09-03", seconds=0.0, poll_s=0.05, snapshots=SNAPSHOTS):
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    trigger = SnapshotTrigger(snapshots, "aws_default", snapshot, deadline.isoformat(), poll_s)
    path, about = trigger.serialize()
    assert path == "include.orchestration.waiting.SnapshotTrigger"

    async def first():
        return await anext(SnapshotTrigger(**about).run())

    return asyncio.run(first()).payload


@pytest.mark.parametrize(
    ("name", "landed"),
    [
        ("2018-09-03/a.jsonl.gz", True),
        ("2018-09-03/part/b.json", True),
        ("2018-09-03/", False),
        ("2018-09-03/README.txt", False),
        ("2018-09-03b/a.json", False),
        ("2018-09-02/a.json", False),
    ],
)
def test_a_snapshot_has_landed_with_its_first_review_file(s3, workspace, name, landed):
    put(s3, name)
    assert has_landed(workspace.snapshots, "2018-09-03") is landed


def test_one_that_is_there_is_reported_even_after_the_deadline(deployment, s3):
    put(s3, "2018-09-03/a.json")
    assert event(seconds=-60) == {"snapshot": "2018-09-03", "error": None}


def test_one_that_lands_while_it_is_waited_for_is_found(deployment, s3):
    waiting = threading.Timer(0.2, put, (s3, "2018-09-03/a.json"))
    waiting.start()
    assert event(seconds=60)["error"] is None
    waiting.join()


def test_one_that_does_not_land_is_given_up_with_a_reason(deployment, s3):
    put(s3, "2018-09-02/a.json")
    error = event(seconds=0.2)["error"]
    assert f"{SNAPSHOTS}/2018-09-03/: no review file" in error
    assert "RECOMMENDER_WAIT_HOURS" in error


def test_what_waiting_cannot_fix_ends_it_at_once(deployment):
    assert "the bucket does not exist" in event(seconds=3600, snapshots="s3://no-such-bucket/x")["error"]


def test_a_store_that_cannot_be_reached_is_asked_again_until_the_deadline(deployment, monkeypatch, caplog):
    connection = (
        '{"conn_type": "aws", "login": "t", "password": "t", "extra": {"endpoint_url": "http://127.0.0.1:9", '
        '"region_name": "us-east-1", "config_kwargs": {"retries": {"total_max_attempts": 1}}}}'
    )
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection)
    assert "no review file" in event(seconds=0.3)["error"]
    assert caplog.text.count("Could not connect") >= 2
