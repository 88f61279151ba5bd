"""The command line, against a real S3 server."""

import json
from contextlib import ExitStack

import boto3
import pytest

from include.recommender.console.cli import main

from .. import ports
from ..faults import proxy
from ..registry.makers import M1, line
from ..worlds import packed, reviews


@pytest.fixture
def registry(workspace):
    return workspace.registry


@pytest.fixture(autouse=True)
def environment(s3, s3_endpoint, monkeypatch):
    values = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "RECOMMENDER_ROOT": "s3://reviews/shop",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(capsys):
    """Run a command; return status, stdout, stderr."""

    def one(*argv):
        status = main(argv)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return one


@pytest.fixture
def ask(run):
    """Run a command with --json; return the status and what was read."""

    def one(*argv):
        status, out, _ = run(*argv, "--json")
        return status, json.loads(out)

    return one


@pytest.fixture
def stocked(workspace, tmp_path, monkeypatch):
    """A bucket with a snapshot and a live version, no schedule, and a cache that is not there yet."""
    line(workspace.registry, M1)
    workspace.snapshots.write("2018-09-01/reviews.json.gz", packed(reviews(n_users=20)))
    monkeypatch.setenv("RECOMMENDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RECOMMENDER_SCHEDULE", "none")
    return workspace


@pytest.fixture
def doctor(run, monkeypatch):
    """Run `doctor --json`, all checks or some with what they need; return the status and the results by name."""

    def one(*argv, only=()):
        # boto3's own session would keep the keys of the first call in this process.
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        status, out, _ = run("doctor", *argv, *(f"--only={name}" for name in only), "--json")
        return status, {row["name"]: row for row in json.loads(out)}

    return one


@pytest.fixture
def before_store(s3_endpoint, monkeypatch):
    """Put a misbehaving proxy before the store; return its script."""
    with ExitStack() as stack:

        def one(base=proxy.Handler):
            server, script = proxy.serve(s3_endpoint, base)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_address[1]}")
            return script

        yield one


@pytest.fixture
def found():
    """Check that a result has a state, and says what, where, what is expected, and how it is fixed."""

    def one(row, state, *texts):
        whole = "\n".join([row["seen"], row["expected"], row["fix"]])
        assert row["state"] == state, whole
        for text in texts:
            assert text in whole, whole
        assert row["state"] == "not checked" or (row["expected"] and row["fix"]), whole
        return row

    return one


@pytest.fixture
def free_port():
    """A port of loopback that nobody uses."""
    return ports.free_port()
