"""Where this deployment keeps things: the environment, read in this one place, and the stores it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from include.recommender.errors import ConfigError
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.cache import FOLDER, default_parent
from include.recommender.storage.objects import ObjectStore, split_uri

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
ATTEMPTS = 5


@dataclass(frozen=True)
class Settings:
    """RECOMMENDER_ROOT, RECOMMENDER_SNAPSHOTS, RECOMMENDER_CACHE and RECOMMENDER_AWS_CONN_ID.

    cache : a folder of our own below RECOMMENDER_CACHE; `storage.cache.claim` makes it
    """

    root: str
    snapshots: str
    cache: Path
    aws_conn_id: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read and check the environment. Raises ConfigError."""
        root = environment.get("RECOMMENDER_ROOT", "").rstrip("/")
        if not root:
            raise ConfigError(
                "RECOMMENDER_ROOT is not set in the environment of the Airflow workers: expected s3://bucket or "
                "s3://bucket/prefix, under which artifacts, models, channels and reports are kept"
            )
        snapshots = environment.get("RECOMMENDER_SNAPSHOTS", "") or f"{root}/snapshots"
        for uri in (root, snapshots):
            split_uri(uri)
        given = environment.get("RECOMMENDER_CACHE", "")
        cache = (Path(given) if given else default_parent(environment)) / FOLDER
        return cls(root, snapshots, cache, environment.get("RECOMMENDER_AWS_CONN_ID", "") or "aws_default")

    def workspace(self) -> Workspace:
        """The stores, reached with the credentials of the Airflow connection."""
        client = s3_client(self.aws_conn_id)
        return Workspace(ObjectStore.at(client, self.root), ObjectStore.at(client, self.snapshots), self.cache)


def s3_client(aws_conn_id: str) -> S3Client:
    """A client with the credentials of an Airflow connection; what its extra sets overrides our timeouts."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from include.recommender.storage.faults import translate

    ours = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=32,
    )
    try:
        theirs = S3Hook(aws_conn_id=aws_conn_id).conn_config.botocore_config
        client: S3Client = S3Hook(aws_conn_id=aws_conn_id, config=ours.merge(theirs) if theirs else ours).get_conn()
    except (BotoCoreError, ClientError) as error:  # of STS, where the connection assumes a role
        raise translate(error, "reach", f"S3 with the connection {aws_conn_id}") from error
    return client
