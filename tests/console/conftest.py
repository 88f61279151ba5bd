"""The command line, against a real S3 server."""

import json

import pytest

from include.recommender.console.cli import main


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
