"""The S3 client: one set of timeouts and retries for tasks, command lines and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from ..errors import ConfigError
from .redaction import printable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
ATTEMPTS = 5
CONNECTIONS = 32


def client_config(*, patient: bool = True) -> Config:
    """Timeouts, retries with backoff, and enough connections for `ObjectStore.download` and `at_once`.

    Parameters
    ----------
    patient : False for a server, which looks again soon anyway, and meanwhile answers from what it has
    """
    return Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS if patient else 2},
        connect_timeout=CONNECT_TIMEOUT_S if patient else 2,
        read_timeout=READ_TIMEOUT_S if patient else 10,
        max_pool_connections=CONNECTIONS,
    )


def s3_client(endpoint_url: str | None = None, *, patient: bool = True) -> S3Client:
    """A client with the credentials that boto3 finds.

    Parameters
    ----------
    endpoint_url : of an S3-compatible store; None: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon
    patient : see `client_config`

    Raises
    ------
    ConfigError
        The environment or the profile is not usable.
    """
    try:
        client: S3Client = boto3.client("s3", endpoint_url=endpoint_url, config=client_config(patient=patient))
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"Cannot set up a connection to S3: {printable(error)}") from None
    return client
