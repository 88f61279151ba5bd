"""Which of our errors an error of boto3 means, and so whether it is tried again."""

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

from include.recommender.errors import (
    ConfigError,
    DataError,
    NotFound,
    PreconditionFailed,
    RecommenderError,
    TransientError,
)
from include.recommender.storage.faults import translate


def answer(status, code):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer(503, "SlowDown"), TransientError),
        (answer(500, "InternalError"), TransientError),
        (answer(429, "TooManyRequests"), TransientError),
        (answer(400, "ThrottlingException"), TransientError),
        (answer(400, "KMS.ThrottlingException"), TransientError),
        (answer(409, "ConditionalRequestConflict"), TransientError),
        (answer(403, "RequestTimeTooSkewed"), ConfigError),
        (answer(400, "ExpiredToken"), ConfigError),
        (answer(403, "AccessDenied"), ConfigError),
        (answer(404, "NoSuchBucket"), ConfigError),
        (answer(404, "NoSuchKey"), NotFound),
        (answer(412, "PreconditionFailed"), PreconditionFailed),
        (answer(400, "EntityTooLarge"), DataError),
        (NoCredentialsError(), ConfigError),
        (ParamValidationError(report="Invalid bucket name"), ConfigError),
    ],
    ids=str,
)
def test_each_error_goes_to_who_can_fix_it(error, kind):
    found = translate(error, "write", "s3://bucket/key")
    assert type(found) is kind
    assert "s3://bucket/key" in str(found)


@pytest.mark.parametrize("error", [answer(404, "NoSuchKey"), answer(503, "SlowDown"), NoCredentialsError()], ids=str)
def test_a_key_never_moves_the_cursor(error):
    found = translate(error, "read", "s3://bucket/a\x1b[2J\n\u202eb")
    assert "s3://bucket/a\\x1b[2J\\n\\u202eb" in str(found)


@pytest.mark.parametrize("verb", [lambda s, key: s.read(key), lambda s, key: s.write(key, b"")])
def test_nor_does_one_that_a_store_refuses(workspace, verb):
    with pytest.raises(RecommenderError) as refused:
        verb(workspace.root, "a\nb\x9b")
    assert str(refused.value).isprintable()


def upload():
    try:
        raise answer(503, "SlowDown")
    except ClientError as inner:
        raise S3UploadFailedError(f"Failed to upload: {inner}")  # noqa: B904 (as boto3 does it)


def test_what_the_transfer_manager_wraps_is_classified_by_what_is_inside():
    with pytest.raises(S3UploadFailedError) as caught:
        upload()
    assert type(translate(caught.value, "write", "s3://bucket/key")) is TransientError
