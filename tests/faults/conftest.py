"""A workspace whose S3 server can be made to misbehave."""

import boto3
import pytest
from botocore.config import Config

from include.recommender.stages.workspace import Workspace
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from . import proxy


@pytest.fixture
def faulty(s3, s3_endpoint, tmp_path):
    """(workspace, script): the stores behind the proxy, and its script."""
    server, script = proxy.serve(s3_endpoint)
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
