"""Where a notebook's registry is."""

from __future__ import annotations

import os

from ..registry import locate
from ..registry.registry import Registry


def connect(root: str | None = None, endpoint_url: str | None = None) -> Registry:
    """The registry that the other functions read, with the credentials that boto3 finds.

    Parameters
    ----------
    root : such as s3://bucket/prefix; None: RECOMMENDER_ROOT
    endpoint_url : of an S3-compatible store; None: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon

    Raises
    ------
    ConfigError
        There is no root, it is no URI, or the environment of boto3 is not usable.

    Examples
    --------
    >>> registry = connect("s3://bucket/prefix", endpoint_url="http://127.0.0.1:9010")
    """
    return locate.connect(root or os.environ.get("RECOMMENDER_ROOT"), endpoint_url)
