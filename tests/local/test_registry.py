"""`make registry`: the registry's commands after `make run` has ended, and while somebody serves."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from include.recommender.errors import ConfigError
from include.recommender.registry.registry import Registry
from include.recommender.storage.objects import ObjectStore
from local import registry, shell, store
from local.airflow_env import airflow_environment
from local.environment import PROJECT

from ..registry.makers import M1, line


def remember(home, endpoint):
    at = replace(store.home_store(home, 9), endpoint=endpoint)
    shell.write(home, at, airflow_environment(home, at, f"s3://{store.BUCKET}/it's mine", "sqlite://"))


def test_a_command_starts_the_server_and_ends_it(home, port, capfd):
    remember(home, "http://127.0.0.1:1")
    assert registry.main(["--local", str(home.path), "--s3-port", str(port), "--", "--json", "list"]) == 0
    assert capfd.readouterr().out.strip() == "[]"
    assert not store.serves(f"http://{store.HOST}:{port}")


def test_a_command_uses_the_server_that_runs(home, port, capfd):
    with home.own("make up"), store.serve(home, port) as server:
        remember(home, server.endpoint)
        assert registry.registry(home, port, ["--json", "list"]) == 0
        assert capfd.readouterr().out.strip() == "[]"
        assert registry.registry(home, port, ["promote", "--help"]) == 0
    help_ = capfd.readouterr().out
    assert help_.startswith("usage: make registry ARGS='promote [-h]")
    assert "  make registry ARGS='promote 2018" in help_


def test_of_two_commands_at_the_same_time_one_waits(home, port):
    remember(home, f"http://{store.HOST}:{port}")
    words = ["-m", "local.registry", "--local", str(home.path), "--s3-port", str(port), "--", "--json", "list"]
    both = [
        subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    output = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], output
    assert [out.strip() for out, _ in output] == ["[]", "[]"]


def test_a_command_does_not_wait_for_another_kind_of_owner(home, port):
    remember(home, "http://127.0.0.1:1")
    with home.own("make up"), pytest.raises(ConfigError, match="in use by make up"):
        registry.registry(home, port, ["list"])


def test_doctor_finds_a_laptop_in_order_but_for_what_its_store_lacks(home, port, capfd):
    with home.own("make up"), store.serve(home, port) as server:
        remember(home, server.endpoint)
        root = ObjectStore(server.client(), store.BUCKET, "it's mine")
        root.write("snapshots/2018-09-01/reviews.json", b"{}")
        line(Registry(root), M1)
        assert registry.registry(home, port, ["doctor", "--json"]) == 0
    rows = {row["name"]: row["state"] for row in json.loads(capfd.readouterr().out)}
    assert "FAILED" not in rows.values()
    lacking = {"create-only models/", "versioning", "lifecycle"}
    assert {name for name, state in rows.items() if state == "warning"} - {"newest snapshot"} == lacking
    assert rows["bucket"] == rows["conditional writes"] == rows["connection"] == rows["channel"] == "ok"


def test_before_any_run_it_says_what_comes_first(home, port):
    with pytest.raises(ConfigError, match="make run"):
        registry.registry(home, port, ["list"])
