"""The settings of this deployment: the environment, read only here, and its stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.recommender.stages.workspace import Workspace
from include.recommender.storage.cache import cache_of
from include.recommender.storage.objects import ObjectStore
from include.recommender.storage.places import read_places

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from mypy_boto3_s3.client import S3Client

DEFAULT_CONNECTION = "aws_default"


@dataclass(frozen=True)
class Settings:
    """RECOMMENDER_ROOT, RECOMMENDER_SNAPSHOTS, RECOMMENDER_CACHE and RECOMMENDER_AWS_CONN_ID.

    cache : the project's folder below RECOMMENDER_CACHE; `storage.cache.claim` creates it
    """

    root: str
    snapshots: str
    cache: Path
    aws_conn_id: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read and check the environment.

        Raises
        ------
        ConfigError
            Every variable that is wrong.
        """
        root, snapshots = read_places(environment)
        cache = cache_of(environment)
        connection = environment.get("RECOMMENDER_AWS_CONN_ID", "").strip() or DEFAULT_CONNECTION
        return cls(root, snapshots, cache, connection)

    def workspace(self, client: S3Client | None = None) -> Workspace:
        """The stores, by default with the credentials of the Airflow connection."""
        client = client or s3_client(self.aws_conn_id)
        return Workspace(ObjectStore.at(client, self.root), ObjectStore.at(client, self.snapshots), self.cache)


def s3_client(aws_conn_id: str) -> S3Client:
    """A client of S3 through an Airflow connection. Raises ConfigError as `client_of` does."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    client: S3Client = client_of(S3Hook, aws_conn_id)
    return client


def client_of(hook: type[AwsGenericHook[Any]], aws_conn_id: str) -> Any:
    """A client with the credentials of an Airflow connection; what its extra sets overrides our timeouts.

    Raises
    ------
    ConfigError
        The connection does not exist, is not of type aws, or is not usable.
    """
    from airflow.sdk.exceptions import AirflowException

    from include.recommender.storage.client import client_config
    from include.recommender.storage.faults import STORE_ERRORS, translate

    from .connection import check_connection, unusable

    check_connection(aws_conn_id)
    ours = client_config()
    try:
        theirs = hook(aws_conn_id=aws_conn_id).conn_config.botocore_config
        return hook(aws_conn_id=aws_conn_id, config=ours.merge(theirs) if theirs else ours).get_conn()
    except STORE_ERRORS as error:  # of STS too, where the connection assumes a role
        raise translate(error, "reach", f"AWS with the connection {aws_conn_id}") from error
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError, AirflowException) as error:
        raise unusable(aws_conn_id, error) from None
