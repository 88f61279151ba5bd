"""`doctor` on a deployment that is in order, and what it prints and returns."""

import json
import os
import subprocess
import sys

import pytest

from include.recommender.console.doctor.findings import DoctorCheck, State, examine, fine, summary, unchecked
from include.recommender.errors import ConfigError

from ..conftest import ROOT

OF_THE_BUCKET = {"create-only models/", "versioning", "lifecycle"}  # that of the tests has no policy


def states(rows):
    return {row["name"]: row["state"] for row in rows.values()}


def test_a_deployment_in_order_has_no_failure(stocked, doctor):
    status, rows = doctor()
    assert status == 0
    found = states(rows)
    assert {name for name, state in found.items() if state == "warning"} == OF_THE_BUCKET
    asked = {row["name"] for row in rows.values() if row["group"] in {"Airflow", "online API"}}
    assert {name for name, state in found.items() if state == "not checked"} == {"region", *asked}
    assert "doctor --airflow http" in rows["API server"]["fix"]
    assert "doctor --api http" in rows["API alive"]["fix"]


def test_it_leaves_one_object_a_prefix_and_no_other(stocked, doctor):
    before = {row.key for row in stocked.root.walk()}
    for _ in range(2):
        doctor()
    left = sorted({row.key for row in stocked.root.walk()} - before)
    folders = ("artifacts", "channels", "models", "recommendations", "reports", "tuned")
    assert left == [f"{folder}/.probe-doctor" for folder in folders]
    assert stocked.registry.channels.names() == ["production"]
    assert len(stocked.registry.versions()) == 1


def test_it_makes_no_cache_for_another_user(stocked, doctor, tmp_path):
    _, rows = doctor()
    assert f"{tmp_path}/cache/recommender-cache will be made in {tmp_path}" in rows["cache"]["seen"]
    assert not (tmp_path / "cache").exists()


def test_warnings_fail_where_that_is_asked_for(stocked, doctor):
    assert doctor("--strict")[0] == 1


def test_the_text_ends_with_the_counts_and_holds_no_secret(stocked, run, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-a-secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE0001")
    status, out, err = run("doctor")
    assert (status, err) == (0, "")
    assert out.endswith("\n38 checks: 20 ok, 3 warnings, 0 FAILED, 15 not checked\n")
    assert "access key ...0001 from env" in out
    for secret in ("wJalr", "AKIDEXAMPLE"):
        assert secret not in out


def test_what_is_not_understood_ends_with_two(run):
    with pytest.raises(SystemExit) as raised:
        run("doctor", "--role", "root")
    assert raised.value.code == 2


def test_the_module_runs_and_a_reader_that_has_enough_is_no_error(stocked):
    command = [sys.executable, "-m", "include.recommender.console", "doctor"]
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {row["group"] for row in json.loads(done.stdout)} >= {"store", "rights", "contents", "machine"}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_check_that_breaks_is_a_failure_and_the_others_go_on():
    def broken(_):
        raise ZeroDivisionError("by zero, password=hunter2")

    def refused(_):
        raise ConfigError("no such thing. Make it.")

    checks = [
        DoctorCheck("a", "broken", broken),
        DoctorCheck("a", "after it", lambda _: fine("x"), ("broken",)),
        DoctorCheck("a", "refused", refused),
        DoctorCheck("b", "unknown", lambda _: unchecked("y")),
        DoctorCheck("b", "alone", lambda subject: fine(subject)),
    ]
    rows = list(examine(checks, "subject"))
    assert [row.state for row in rows] == ["FAILED", "not checked", "FAILED", "not checked", "ok"]
    assert rows[0].seen == "the check itself broke: ZeroDivisionError: by zero, password=***"
    assert rows[1].seen == "it needs: broken"
    assert rows[2].seen == "no such thing. Make it."
    assert (rows[4].seen, rows[4].state) == ("subject", State.OK)
    assert summary(rows) == "5 checks: 1 ok, 0 warnings, 2 FAILED, 2 not checked"


def test_some_checks_bring_what_they_need(stocked, doctor, run):
    status, rows = doctor(only=["channel", "clock"])
    assert (status, set(rows)) == (0, {"credentials", "bucket", "clock", "models/", "channels/", "channel"})
    status, out, err = run("doctor", "--only", "chanel")
    assert (status, out) == (1, "")
    assert "--only chanel: there is no such check. There are: settings, variable names, credentials" in err
