"""A workspace whose S3 server can be made to misbehave, and a run whose stages can be killed."""

import urllib.request

import boto3
import pytest
from botocore.config import Config

from include.recommender.stages.workspace import Workspace
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from . import proxy
from .stages import workspace_at
from .story import Story
from .zygote import Zygote


@pytest.fixture
def faulty(s3, s3_endpoint, tmp_path, monkeypatch):
    """(workspace, script): the stores behind the proxy, and its script; the race for their keys was run before."""
    server, script = proxy.serve(s3_endpoint)
    endpoints = (f"http://127.0.0.1:{server.server_address[1]}", s3_endpoint)
    monkeypatch.setattr("include.recommender.registry.atomicity._proven", {(each, BUCKET) for each in endpoints})
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}, read_timeout=5, connect_timeout=5),
    )
    root, snapshots = ObjectStore(client, BUCKET, "shop"), ObjectStore(client, BUCKET, "shop/snapshots")
    yield Workspace(root, snapshots, tmp_path / "cache"), script
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def zygote():
    """Starts stages in processes of their own."""
    with Zygote() as running:
        yield running


@pytest.fixture(scope="module")
def story(s3_endpoint, zygote, tmp_path_factory):
    """An undisturbed run, and the means to disturb it."""
    urllib.request.urlopen(urllib.request.Request(f"{s3_endpoint}/moto-api/reset", method="POST")).close()
    folder = tmp_path_factory.mktemp("story")
    server, script = proxy.serve(s3_endpoint)
    direct = workspace_at(s3_endpoint, str(folder / "direct"))
    direct.root.client.create_bucket(Bucket=BUCKET)
    story = Story(direct, f"http://127.0.0.1:{server.server_address[1]}", script, zygote, folder)
    story.run()
    yield story
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def all_kills(request):
    """Whether every moment is to be tried."""
    return request.config.getoption("--all-kills")
