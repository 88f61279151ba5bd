"""Planted faults of the environment, the contents of the store, and the machine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from deploy.stack import AIRFLOW_SETTINGS, API_SETTINGS
from include.recommender.config import RetrainConfig
from include.recommender.console.doctor import machine
from include.recommender.console.doctor.examined import Examined, Role
from include.recommender.console.doctor.variables import API_NAMES, names, settings
from include.recommender.models.choice import Choice
from include.recommender.parameters.of_deployment import NAMES
from include.recommender.registry.bundle import describe
from include.recommender.registry.listing import FOLD, FoldFile
from include.recommender.storage.documents import to_json

from ..conftest import BUCKET, ROOT
from ..documents import fold_counts
from ..registry.makers import M1, M2, about, make, move

VALID = {"RECOMMENDER_ROOT": "s3://shop/p", "RECOMMENDER_CACHE": "/var/cache/x"}


def of(role=Role.DAG, **environment):
    return Examined(
        environment={**VALID, **environment}, endpoint_url=None, role=role, channel="production", airflow="", api=""
    )


def test_the_names_are_those_of_the_deployment():
    assert set(NAMES) == set(AIRFLOW_SETTINGS)
    assert set(API_NAMES) == set(API_SETTINGS)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("RECOMMENDER_ROOT", "http://b/p", "an address of the web"),
        ("RECOMMENDER_ROOT", "", "RECOMMENDER_ROOT is not set"),
        ("RECOMMENDER_SNAPSHOTS", "s3://shop/p/models/x", "lies in a folder that this project writes"),
        ("RECOMMENDER_SCHEDULE", "on fridays", "cron has five"),
        ("RECOMMENDER_SCHEDULE_TIMEZONE", "Berlin", "Europe/Berlin"),
        ("RECOMMENDER_WAIT_HOURS", "soon", "a number from 0 to 744"),
        ("RECOMMENDER_APPROVAL", "yes", "1 (on) or 0 (off)"),
        ("RECOMMENDER_APPROVAL_HOURS", "0", "more than 0 hours"),
        ("RECOMMENDER_SNS_TOPIC_ARN", "arn:x", "the ARN of a topic"),
        ("RECOMMENDER_NOTIFIERS", "[1]", "entry 1 is a number"),
        ("RECOMMENDER_API_QUEUE", "many", "a whole number"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_expected(name, value, text):
    found = settings(of(**{name: value}))
    assert found.state == "FAILED"
    assert name in found.seen
    assert text in found.seen
    assert "restart" in found.fix


def test_all_wrong_settings_come_at_once_and_tokens_are_not_shown():
    wrong = {"RECOMMENDER_SCHEDULE": "x", "RECOMMENDER_APPROVAL": "7", "RECOMMENDER_NOTIFIERS": '[{"k": "hunter2"}]'}
    found = settings(of(**wrong))
    assert all(name in found.seen for name in wrong)
    assert "hunter2" not in found.seen


def test_settings_of_the_dags_are_not_those_of_the_api():
    assert settings(of(Role.API, RECOMMENDER_SCHEDULE="on fridays")).state == "ok"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("RECOMMENDER_SHEDULE", "RECOMMENDER_SCHEDULE"),
        ("RECOMMENDER_SNAPSHOT", "RECOMMENDER_SNAPSHOTS"),
        ("RECOMMENDER_TRAINING_POOLS", "RECOMMENDER_TRAINING_POOL"),
        ("RECOMMENDER_API_POOL_S", "RECOMMENDER_API_POLL_S"),
    ],
)
def test_a_misspelt_variable(name, near):
    found = names(of(**{name: "x"}))
    assert found.state == "FAILED"
    assert found.seen == f"{name} is set, and nothing reads it; did you mean {near}?"
    assert found.fix == f"Rename {name} to {near}."


def test_a_variable_like_no_other_is_a_warning():
    found = names(of(RECOMMENDER_COLOUR="blue"))
    assert (found.state, found.fix) == ("warning", "Unset them.")
    assert names(of()).state == "ok"


def test_a_bad_schedule_does_not_hide_the_store(stocked, doctor, found, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_SCHEDULE", "on fridays")
    status, rows = doctor(only=["settings", "channel"])
    assert status == 1
    found(rows["settings"], "FAILED", "RECOMMENDER_SCHEDULE", "cron has five", "docs/operations.md")
    assert rows["bucket"]["state"] == rows["channel"]["state"] == "ok"


def test_no_snapshots(stocked, s3, doctor, found):
    s3.delete_object(Bucket=BUCKET, Key="shop/snapshots/2018-09-01/reviews.json.gz")
    status, rows = doctor(only=["disk"])
    assert status == 1
    found(
        rows["newest snapshot"], "FAILED", f"s3://{BUCKET}/shop/snapshots/", "no snapshot", "YYYY-MM-DD/", "aws s3 cp"
    )
    assert rows["disk"]["state"] == "not checked"


def test_a_snapshot_whose_upload_goes_on(stocked, doctor, found):
    stocked.snapshots.write("2018-10-01/_incomplete", b"")
    found(
        doctor(only=["newest snapshot"])[1]["newest snapshot"],
        "FAILED",
        "shop/snapshots/2018-10-01/",
        "_incomplete",
        "Upload it again",
    )


def test_snapshots_that_have_stopped(stocked, doctor, found, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_SCHEDULE", "@weekly")
    status, rows = doctor(only=["newest snapshot"])
    assert status == 0
    found(rows["newest snapshot"], "warning", "2018-09-01", "days old", "@weekly", "Upload review files")


def test_a_version_that_lost_a_file(stocked, doctor, found):
    stocked.root.delete([f"models/{M1}/published_prior.npy"])
    status, rows = doctor(only=["memory"])
    assert status == 1
    row = found(
        rows["channel"], "FAILED", f"production points to {M1}", f"models/{M1}/published_prior.npy: is not there"
    )
    assert row["fix"].startswith("python -m include.recommender.console rollback --channel production")
    assert rows["memory"]["state"] == "not checked"


def test_a_pointer_that_is_damaged_and_a_channel_that_is_not_there(stocked, doctor, found):
    found(
        doctor("--channel", "stagin", only=["channel"])[1]["channel"],
        "warning",
        "channels/stagin.json",
        "no version yet",
        "promote",
    )
    stocked.root.write("channels/production.json", b"{")
    found(doctor(only=["channel"])[1]["channel"], "FAILED", "channels/production.json", "docs/registry.md")


def live(stocked, counts, **changes):
    """A version of so many interactions, live."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        make(directory, M2)
        (directory / FOLD).write_bytes(to_json(FoldFile(counts, counts)))
        stocked.registry.publish(directory, describe(directory, about(M2, **changes)))
    move(stocked.registry, M2)


def test_a_version_that_is_too_large_for_this_machine(stocked, doctor, found):
    counts = fold_counts(train=4 * 10**9, train_users=10**9, train_items=10**8, holdout=1)
    live(stocked, counts)
    status, rows = doctor(only=["memory"])
    assert status == 1
    row = found(rows["memory"], "FAILED", "factors=64", "1,000,000,000 users", "SCHEDULER_MEMORY", "fewer factors")
    assert "are free" in row["seen"]


@pytest.mark.parametrize(
    ("family", "neighbours", "words", "state"),
    [
        ("als", 1_000, "knn_neighbours=1000 needs about 4,80", "FAILED"),  # it is a rival
        ("blend", 1_000, "knn_neighbours=1000 needs about 4,80", "FAILED"),
        ("knn", 10, "knn_neighbours=100 needs about 48", "ok"),
    ],
)
def test_memory_is_counted_for_what_was_chosen(stocked, doctor, monkeypatch, family, neighbours, words, state):
    """Chosen are more factors than were configured, and a family."""
    for name in ("limit_bytes", "free_bytes"):
        monkeypatch.setattr(machine, name, lambda: 10**12)
    counts = fold_counts(train=10**8, train_users=10**7, train_items=10**8, holdout=1)
    config = RetrainConfig.from_params({"factors": 2, "knn_neighbours": neighbours})
    choice = replace(Choice.of(config), family=family, factors=512)
    live(stocked, counts, config=config.as_dict(), choice=choice)
    row = doctor(only=["memory"])[1]["memory"]
    assert row["state"] == state
    assert "factors=512 needs about 4" in row["seen"]
    assert words in row["seen"]


def test_training_on_aws_batch_takes_no_memory_here(stocked, doctor, found, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_AWS_BATCH", "shop/retrain:3")
    rows = doctor(only=["memory"])[1]
    found(rows["memory"], "not checked", "jobs of AWS Batch (shop/retrain:3)", "about", "users", "job definition")


def test_a_larger_snapshot_counts_in_proportion(stocked, doctor):
    def users():
        return doctor(only=["memory"])[1]["memory"]["seen"]

    assert "(3 users" in users()
    size = len(stocked.snapshots.read("2018-09-01/reviews.json.gz"))
    stocked.snapshots.write("2018-10-01/reviews.json", b"x" * (4 * size))
    assert "(12 users" in users()


@pytest.mark.parametrize("kind", ["file", "foreign", "another user"])
def test_a_cache_that_cannot_be_used(stocked, doctor, found, tmp_path, kind):
    folder = tmp_path / "cache" / "recommender-cache"
    folder.parent.mkdir()
    if kind == "file":
        folder.write_text("x")
    else:
        folder.mkdir()
        (folder / "something").write_text("x")
    if kind == "another user":
        if os.geteuid() != 0:
            pytest.skip("only root gives a folder away")
        os.chown(folder, 12345, 12345)
    texts = {"file": "is a link or a file", "foreign": "not a cache of this project", "another user": "user 12345"}
    status, rows = doctor(only=["cache"])
    assert status == 1
    found(rows["cache"], "FAILED", str(folder), texts[kind], "that can be written")


def test_a_disk_that_is_too_small(stocked, s3_endpoint, found, tmp_path):
    """A real file system of 1 MB, mounted in a namespace of its own."""
    stocked.snapshots.write("2018-10-01/reviews.json", b"x" * 300_000)
    private = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespace")
    folder = tmp_path / "small"
    folder.mkdir()
    script = f'mount -t tmpfs -o size=1m none "{folder}" && exec "$@"'
    command = [sys.executable, "-m", "include.recommender.console", "doctor", "--json", "--only", "disk"]
    done = subprocess.run(
        [*private, "sh", "-c", script, "sh", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RECOMMENDER_CACHE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    found(
        rows["disk"],
        "FAILED",
        str(folder),
        "1.0 MB are free",
        "1.5 MB: 5 times the snapshot 2018-10-01",
        "RECOMMENDER_CACHE",
    )
