"""The report of one real run, made once."""

import copy
import functools

import boto3
import pytest

from include.recommender.reporting import plots
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.objects import ObjectStore

from . import runs


@pytest.fixture(scope="package")
def _report(s3_endpoint, tmp_path_factory):
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="report-run")
    store = ObjectStore(client, "report-run", "shop")
    workspace = Workspace(store, store.under("snapshots"), tmp_path_factory.mktemp("cache"))
    journal, _ = runs.run(workspace)
    model = {"model_id": "20180901-abc", "uri": "s3://report-run/shop/models/20180901-abc", "verdict": "PROMOTE"}
    journal.write(runs.record("upload_model", facts=model))
    journal.write(runs.record("promote_model", facts={"channel": "production", "moved": True, "why": "verdict"}))
    journal.write(runs.record("write_report", "running"))
    return runs.collect(journal, workspace.artifacts)


def _kept(draw):
    """The same function, which draws once what is asked for with the same arguments."""
    drawn = {}

    @functools.wraps(draw)
    def kept(*arguments, **named):
        key = repr((arguments, named))
        if key not in drawn:
            drawn[key] = draw(*arguments, **named)
        return drawn[key]

    return kept


DRAWN_ONCE = {name: _kept(getattr(plots, name)) for name in ("bars", "cloud", "curve", "grouped", "whiskers")}


@pytest.fixture
def _plots_drawn_once(monkeypatch):
    """Pages that differ in their words share their plots, which take all the time."""
    for name, kept in DRAWN_ONCE.items():
        monkeypatch.setattr(plots, name, kept)


@pytest.fixture
def report(_report):
    """A copy of the report of a run that ended in a promotion."""
    return copy.deepcopy(_report)
