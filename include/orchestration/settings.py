"""The settings of this deployment: the environment, read only here, and its stores."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.recommender.errors import ConfigError
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.cache import cache_of
from include.recommender.storage.objects import ObjectStore
from include.recommender.storage.uris import split_uri

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from mypy_boto3_s3.client import S3Client

DEFAULT_CONNECTION = "aws_default"
PREFIX_BYTES = 512  # the keys below a root add up to 500 more
OUR_FOLDERS = frozenset({"artifacts", "models", "channels", "reports", "tuned", "retired", "recommendations"})


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
        problems: list[str] = []
        root = _location(environment, "RECOMMENDER_ROOT", "", problems)
        default = f"{root}/snapshots" if root else ""
        snapshots = _location(environment, "RECOMMENDER_SNAPSHOTS", default, problems)
        if root and snapshots:
            problems += _overlap(root, snapshots)
        if problems:
            raise ConfigError(problems)
        cache = cache_of(environment)
        connection = environment.get("RECOMMENDER_AWS_CONN_ID", "").strip() or DEFAULT_CONNECTION
        return cls(root, snapshots, cache, connection)

    def workspace(self, client: S3Client | None = None) -> Workspace:
        """The stores, by default with the credentials of the Airflow connection."""
        client = client or s3_client(self.aws_conn_id)
        return Workspace(ObjectStore.at(client, self.root), ObjectStore.at(client, self.snapshots), self.cache)


def _location(environment: Mapping[str, str], name: str, default: str, problems: list[str]) -> str:
    """An S3 URI without a slash at its end, or "" with one more problem."""
    text = environment.get(name, "") or default
    if not text:
        if name == "RECOMMENDER_ROOT":
            problems.append(
                "RECOMMENDER_ROOT is not set in the environment of the Airflow workers: expected s3://bucket or "
                "s3://bucket/prefix, under which artifacts, models, channels and reports are kept"
            )
        return ""
    try:
        bucket, prefix = split_uri(text)
    except ConfigError as error:
        problems += [f"{name}: {problem}" for problem in error.problems]
        return ""
    if len(prefix.encode()) > PREFIX_BYTES:
        problems.append(
            f"{name}: the prefix has {len(prefix.encode())} bytes, expected at most {PREFIX_BYTES}: longer keys are "
            "made below it, and S3 takes 1024 bytes"
        )
        return ""
    return f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"


def _overlap(root: str, snapshots: str) -> list[str]:
    """The problem if one of two places lies within the other."""
    below_root = f"{snapshots}/".removeprefix(f"{root}/") if f"{snapshots}/".startswith(f"{root}/") else ""
    if below_root.split("/")[0] in OUR_FOLDERS:
        return [
            f"RECOMMENDER_SNAPSHOTS={snapshots!r} lies in a folder that this project writes itself "
            f"({', '.join(sorted(OUR_FOLDERS))} below RECOMMENDER_ROOT={root!r}). Name another, or leave it out: then "
            f"it is {root}/snapshots"
        ]
    below_snapshots = root.removeprefix(f"{snapshots}/") if root.startswith(f"{snapshots}/") else ""
    if re.match(r"\d{4}-\d{2}-\d{2}(/|\Z)", below_snapshots):
        return [
            f"RECOMMENDER_ROOT={root!r} lies in a snapshot of RECOMMENDER_SNAPSHOTS={snapshots!r}, so what is written "
            "there would be read as reviews. Name another"
        ]
    return []


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
