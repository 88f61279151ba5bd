"""What boto3 raises, as one of our errors: who can mend it, and whether trying again can."""

from __future__ import annotations

from datetime import UTC, datetime

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from ..errors import ConfigError, DataError, NotFound, PreconditionFailed, RecommenderError, TransientError

# Besides those with "Throttl" in their names; the services of AWS do not agree on one.
BUSY = frozenset(
    {"SlowDown", "RequestTimeout", "RequestLimitExceeded", "BandwidthLimitExceeded", "TooManyRequestsException"}
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"})
NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, TokenRetrievalError, UnauthorizedSSOTokenError)


def translate(error: BaseException, verb: str, uri: str) -> RecommenderError:
    """The one of our errors that an error of boto3 means.

    Parameters
    ----------
    verb : what was tried: read, write, list, delete, reach
    """
    if isinstance(error, Boto3Error) and error.__context__ is not None:
        # The transfer manager wraps what it met, and keeps of it only the text.
        return translate(error.__context__, verb, uri)
    if isinstance(error, NO_CREDENTIALS):
        return ConfigError(
            f"Cannot {verb} {uri}: no AWS credentials ({error}). Set them in the Airflow connection "
            "aws_default; outside Airflow in the environment (AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret)."
        )
    if isinstance(error, ParamValidationError):
        return ConfigError(f"Cannot {verb} {uri}: {error}. Correct the bucket's name in the URI.")
    if not isinstance(error, ClientError):
        return TransientError(f"Cannot {verb} {uri}: {error}")
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return _of_answer(f"Cannot {verb} {uri}", uri, verb, status, code, error)


def _of_answer(cannot: str, uri: str, verb: str, status: int, code: str, error: ClientError) -> RecommenderError:
    if status == 429 or status >= 500 or code in BUSY or "Throttl" in code:
        return TransientError(f"{cannot}: the store answered {status} {code}; try again")
    if status == 409:
        return TransientError(f"{cannot}: another request is in progress ({code}); try again")
    if code == "NoSuchBucket":
        return ConfigError(f"{cannot}: the bucket does not exist. Create it or correct the root URI.")
    if code in {"NoSuchKey", "404", "NotFound"} or status == 404:
        return NotFound(f"{uri}: there is no such object")
    if status == 412 or code == "PreconditionFailed":
        return PreconditionFailed(f"{uri}: a conditional {verb} lost, the object is not the one it was")
    if code == "RequestTimeTooSkewed":
        return TransientError(
            f"{cannot}: the clock of this machine ({datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC) and the "
            "store's differ by more than the store allows (15 minutes on AWS). Set this machine's clock (NTP)."
        )
    if code in EXPIRED:
        return ConfigError(f"{cannot}: the credentials have expired ({code}). Renew those of the connection.")
    if status in {401, 403}:
        return ConfigError(
            f"{cannot}: access denied ({code}). The credentials (in Airflow: of its connection) need the "
            f"right to {verb} there; docs/operations.md lists the least that is needed. Without s3:ListBucket "
            "an object that is not there is also answered so."
        )
    return DataError(f"{cannot}: the store answered {status} {code}: {error}")
