"""Limits for botocore: it retries transient faults only, and follows no redirect in a circle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..errors import TransientError
from .faults import translate

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

EVENT = "needs-retry.s3.*"
NAME = "recommender-retries"


def watch(client: S3Client) -> None:
    """Make a client retry only the faults that `translate` calls transient. May be called repeatedly."""
    client.meta.events.register_first(EVENT, _judge, unique_id=NAME)  # type: ignore[arg-type]


def _judge(
    response: tuple[Any, Mapping[str, Any]] | None = None,
    caught_exception: Exception | None = None,
    operation: Any = None,
    request_dict: Mapping[str, Any] | None = None,
    **_: Any,
) -> bool | None:
    """Handler of botocore's retry event: False forbids a retry, None leaves the decision to botocore."""
    error = caught_exception
    if response is not None and response[0] is not None and response[0].status_code >= 300:
        if _knows_the_region(response[1]):
            return None  # botocore asks once more, in the bucket's own region
        if response[0].status_code < 400:
            _forbid_redirect(request_dict or {})
        error = ClientError(dict(response[1]), operation.name)  # type: ignore[arg-type]
    if error is None or isinstance(translate(error, "reach", ""), TransientError):
        return None
    return False


def _knows_the_region(answer: Mapping[str, Any]) -> bool:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return "x-amz-bucket-region" in headers or "Region" in answer.get("Error", {})


def _forbid_redirect(request: Mapping[str, Any]) -> None:
    """Stop botocore from asking the bucket for its region: if that is redirected too, it recurses without end."""
    about = request.get("context", {}).get("s3_redirect")
    if about is not None:
        about["redirected"] = True
