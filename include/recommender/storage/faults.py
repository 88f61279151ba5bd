"""Translate errors of boto3 into ours: who can fix it, and whether another try can help.

Only what passes by itself is a TransientError. What a person has to fix is a ConfigError (a setting, a right, the
store) or a DataError (the object).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
    UnknownEndpointError,
)
from botocore.exceptions import ConnectionError as AnyConnectionError
from botocore.httpchecksum import FlexibleChecksumError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError, LocationParseError

from ..errors import ConfigError, DataError, NotFound, PreconditionFailed, RecommenderError, TransientError
from ..plain_text import shown
from .redaction import printable

Kind = type[RecommenderError]

# All that boto3 and its parts raise of a request. Neither a parser's error nor one of urllib3 is a BotoCoreError.
STORE_ERRORS = (ClientError, BotoCoreError, Boto3Error, ResponseParserError, HTTPError)

CONNECTION = "the Airflow connection of RECOMMENDER_AWS_CONN_ID (outside Airflow the environment)"
NOT_S3 = (
    "what answers there is not an S3 service, but perhaps a proxy, a login page or a console. Set endpoint_url of "
    f"{CONNECTION} to the address of the S3 API itself"
)
KEYS_OF = f"Correct the keys of {CONNECTION}"
NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, TokenRetrievalError, UnauthorizedSSOTokenError)
# Their credentials come from a service on the machine, which may be busy.
METADATA_SERVICES = frozenset({"container-role", "iam-role"})
UNKNOWN_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


@dataclass(frozen=True)
class Cause:
    """The meaning of an answer: the class of our error, the problem, and the fix."""

    kind: Kind
    text: str


BUSY = Cause(TransientError, "the store is busy; try again")
PASSING = Cause(TransientError, "the store failed for now; try again")
DAMAGED = Cause(TransientError, "the data was damaged on its way; try again")
CLASH = Cause(TransientError, "another request is in progress; try again")
EXPIRED = Cause(ConfigError, f"the credentials have expired or are not valid. Renew those of {CONNECTION}.")
UNKNOWN_KEY = Cause(ConfigError, f"access denied: the access key id is unknown to the store. {KEYS_OF}.")
SIGNATURE = Cause(
    ConfigError,
    f"access denied: the signature does not match. The secret key is wrong, or a proxy changes requests. {KEYS_OF}.",
)
ACCOUNT = Cause(
    ConfigError,
    "access denied: the store has closed the account or bucket, or the account has no such service. "
    "Its owner has to settle that with the provider.",
)
ARCHIVED = Cause(
    DataError,
    "the object is in an archive class (such as Glacier) and cannot be read. Restore it, or upload it again in a "
    "class that is read at once; take the prefix out of the lifecycle rule that archives it.",
)
KMS = Cause(
    ConfigError,
    "the encryption key (KMS) cannot be used: it is disabled, being deleted or not there, or the role lacks "
    "kms:Decrypt and kms:GenerateDataKey on it. Enable the key, or allow both.",
)
FULL = Cause(ConfigError, "the store is full, or a quota is used up. Free some space there or raise the quota.")
TOO_LARGE = Cause(DataError, "the store takes no object of that size.")
LONG_KEY = Cause(ConfigError, "the name is too long for the store. Choose a shorter RECOMMENDER_ROOT.")
REGION = Cause(ConfigError, f"wrong region. Set region_name of {CONNECTION} to that of the bucket.")
UNSUPPORTED = Cause(
    ConfigError,
    "the store cannot do that (conditional writes, multipart uploads, ListObjectsV2 and ranges are needed). "
    "Update the store or use another.",
)
NOT_ALLOWED = Cause(ConfigError, f"the method is not allowed: {NOT_S3}.")
BAD_BUCKET = Cause(ConfigError, "that is no valid name of a bucket. Correct the URI.")
NO_BUCKET = Cause(ConfigError, "the bucket does not exist. Create it or correct the root URI.")
TAKEN = Cause(ConfigError, "the bucket cannot be made or used so. Choose another name, or its owner's credentials.")
PATH_TAKEN = Cause(
    DataError, "the store keeps objects as files, and a part of the name is an object itself. Delete or rename that."
)
REFUSED = Cause(ConfigError, "the store refuses the request as it was made.")
UPLOAD_GONE = Cause(TransientError, "the upload was aborted (by a lifecycle rule or a person); try again")
CHANGED = Cause(DataError, "the object is shorter than it was when it was listed. Run the task again.")
ENCRYPTION = Cause(ConfigError, "the object or bucket wants other encryption settings than those of the request.")
PAYER = Cause(ConfigError, "access denied: the requester has to pay for this bucket, which this project does not do.")
PROXY = Cause(ConfigError, "the proxy refuses. Correct HTTPS_PROXY, or list the store in NO_PROXY.")

_CODES: dict[Cause, str] = {
    BUSY: "SlowDown SlowDownRead SlowDownWrite RequestLimitExceeded BandwidthLimitExceeded TooManyRequests "
    "TooManyRequestsException RequestThrottled RequestThrottledException ProvisionedThroughputExceededException",
    PASSING: "InternalError InternalFailure ServiceUnavailable RequestTimeout RequestTimeoutException Busy "
    "IncompleteBody PriorRequestNotComplete XMinioServerNotInitialized KMS.InternalException "
    "KMS.DependencyTimeoutException",
    DAMAGED: "BadDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch",
    CLASH: "ConditionalRequestConflict OperationAborted",
    EXPIRED: "ExpiredToken ExpiredTokenException TokenRefreshRequired InvalidToken RequestExpired",
    UNKNOWN_KEY: "InvalidAccessKeyId InvalidClientTokenId UnrecognizedClientException InvalidSecurity",
    SIGNATURE: "SignatureDoesNotMatch InvalidSignatureException",
    ACCOUNT: "AccountProblem AllAccessDisabled NotSignedUp OptInRequired UserSuspended UserProjectAccountProblem "
    "AccountSuspended InvalidPayer BucketSuspended",
    ARCHIVED: "InvalidObjectState ObjectArchived",
    KMS: "KMSInvalidStateException KMSNotFoundException KMSDisabledException KMSAccessDeniedException",
    FULL: "QuotaExceeded XMinioStorageFull XMinioAdminBucketQuotaExceeded InsufficientStorage StorageFull "
    "ServiceQuotaExceededException TooManyBuckets InsufficientCapacity",
    TOO_LARGE: "EntityTooLarge EntityTooSmall MetadataTooLarge MaxMessageLengthExceeded",
    LONG_KEY: "KeyTooLongError KeyTooLong InvalidURI XMinioInvalidObjectName",
    REGION: "AuthorizationHeaderMalformed IllegalLocationConstraintException InvalidRegion InvalidLocationConstraint",
    UNSUPPORTED: "NotImplemented MethodNotImplemented XNotImplemented",
    NOT_ALLOWED: "MethodNotAllowed",
    BAD_BUCKET: "InvalidBucketName",
    NO_BUCKET: "NoSuchBucket",
    TAKEN: "BucketAlreadyExists BucketAlreadyOwnedByYou BucketNotEmpty InvalidBucketState",
    PATH_TAKEN: "XMinioObjectExistsAsDirectory XMinioParentIsObject ObjectExistsAsDirectory ObjectParentIsFile "
    "ExistingObjectIsDirectory ExistingObjectIsFile",
    REFUSED: "InvalidRequest InvalidArgument MalformedXML MissingContentLength AuthorizationQueryParametersError",
    UPLOAD_GONE: "NoSuchUpload",
    CHANGED: "InvalidRange",
    ENCRYPTION: "ServerSideEncryptionConfigurationNotFoundError InvalidEncryptionAlgorithmError SSEKMSRequired",
    PAYER: "UserProjectMissing RequesterPaysRequired",
}
BY_CODE = {code: cause for cause, codes in _CODES.items() for code in codes.split()}

BY_STATUS = {
    402: ACCOUNT,
    405: NOT_ALLOWED,
    407: PROXY,
    408: PASSING,
    409: CLASH,
    411: REFUSED,
    413: TOO_LARGE,
    414: LONG_KEY,
    416: CHANGED,
    423: CLASH,
    425: BUSY,
    429: BUSY,
    451: ACCOUNT,
    501: UNSUPPORTED,
    505: Cause(ConfigError, f"the HTTP version is refused: {NOT_S3}."),
    506: REFUSED,
    507: FULL,
    508: Cause(ConfigError, "the store's proxies send requests in a circle. Correct them, or endpoint_url."),
    510: REFUSED,
    511: Cause(ConfigError, "the network wants a login first."),
    525: Cause(ConfigError, "the store's proxy has no valid certificate of the store."),
    526: Cause(ConfigError, "the store's proxy has no valid certificate of the store."),
}


def translate(error: BaseException, verb: str, uri: str, endpoint: str = "") -> RecommenderError:
    """Return our error for an error of boto3.

    Parameters
    ----------
    verb : what was tried: read, write, list, delete, create, reach
    endpoint : the address of the store, if it is known
    """
    if isinstance(error, Boto3Error) and error.__context__ is not None:
        # The transfer manager wraps what it met, and keeps of it only the text.
        return translate(error.__context__, verb, uri, endpoint)
    uri = shown(uri)
    cannot = f"Cannot {verb} {uri}"
    if isinstance(error, ClientError):
        return _of_answer(cannot, verb, uri, error, endpoint)
    cause = _of_transport(error)
    at = f" at {printable(endpoint)}" if endpoint else ""
    return cause.kind(f"{cannot}{at}: {cause.text}")


def _of_transport(error: BaseException) -> Cause:
    """Return the cause of an error without an answer of the store."""
    reason = printable(error)
    if isinstance(error, NO_CREDENTIALS):
        text = (
            f"no AWS credentials ({reason}). Set them in the Airflow connection aws_default (or that of "
            "RECOMMENDER_AWS_CONN_ID); outside Airflow in the environment (AWS_PROFILE, or AWS_ACCESS_KEY_ID and its "
            "secret)."
        )
        return Cause(ConfigError, text)
    if isinstance(error, CredentialRetrievalError):
        passing = error.kwargs.get("provider") in METADATA_SERVICES
        return Cause(TransientError if passing else ConfigError, f"the credentials cannot be had: {reason}")
    if isinstance(error, ParamValidationError):
        return Cause(ConfigError, f"{reason}. Correct the bucket's name or the prefix in the URI.")
    if isinstance(error, (NoRegionError, UnknownEndpointError)):
        return Cause(ConfigError, f"{reason} Set region_name of {CONNECTION}.")
    if isinstance(error, ProfileNotFound):
        return Cause(ConfigError, f"{reason}. Correct profile_name of the connection, or AWS_PROFILE.")
    if isinstance(error, (ResponseParserError, KeyError)):
        return Cause(ConfigError, f"{NOT_S3} ({reason}).")
    return _of_network(error, reason)


def _of_network(error: BaseException, reason: str) -> Cause:
    if isinstance(error, SSLError):
        return _of_tls(error, reason)
    if isinstance(error, ProxyConnectionError):
        inner = printable(error.kwargs.get("error", ""))
        refused = re.search(r"Tunnel connection failed: (?!408|425|429)(4\d\d|501)", inner)
        text = f"{reason} ({inner}). Correct HTTPS_PROXY, or list the store in NO_PROXY"
        return Cause(ConfigError if refused else TransientError, text)
    if isinstance(error, EndpointConnectionError) and _unknown_host(error):
        text = f"there is no such host ({reason}). Correct endpoint_url or region_name of {CONNECTION}."
        return Cause(ConfigError, text)
    inner_error = getattr(error, "kwargs", {}).get("error")
    if isinstance(inner_error, (LocationParseError, UnicodeError, FileNotFoundError, PermissionError)):
        return Cause(ConfigError, f"{reason}. Correct endpoint_url, or the certificate's path, of {CONNECTION}.")
    if isinstance(inner_error, (TypeError, ValueError)):  # such as a 303, which trips over signed headers
        return Cause(ConfigError, f"{NOT_S3} ({reason}).")
    network = (AnyConnectionError, HTTPClientError, IncompleteReadError, MetadataRetrievalError, HTTPError)
    if isinstance(error, (*network, ChecksumError, FlexibleChecksumError)) or not isinstance(error, BotoCoreError):
        return Cause(TransientError, reason)
    return Cause(ConfigError, f"{reason}. Correct {CONNECTION}, or the URI.")


def _of_tls(error: SSLError, reason: str) -> Cause:
    """A broken handshake is transient; a wrong certificate or protocol needs a person."""
    if any(sign in reason for sign in ("EOF", "timed out", "reset by peer", "Connection aborted")):
        return Cause(TransientError, reason)
    text = (
        f"{reason}. Correct the store's certificate, give its authority in `verify` of the connection (outside Airflow "
        "AWS_CA_BUNDLE), or correct http or https in endpoint_url."
    )
    return Cause(ConfigError, text)


def _unknown_host(error: BaseException) -> bool:
    """Whether a name server answered that the host does not exist; no answer is a transient fault."""
    return any(isinstance(link, socket.gaierror) and link.errno in UNKNOWN_HOST for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        link = todo.pop()
        if isinstance(link, BaseException) and link not in seen:
            seen.append(link)
            todo += [link.__cause__, link.__context__, *getattr(link, "kwargs", {}).values()]
    return iter(seen)


def _of_answer(cannot: str, verb: str, uri: str, error: ClientError, endpoint: str) -> RecommenderError:
    body = error.response.get("Error", {})
    code = printable(body.get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = printable(body.get("Message", ""))
    answer = " ".join(filter(None, [str(status or ""), "" if code == str(status) else code]))
    heard = f"{answer}: {reason}" if reason and reason != code else answer
    if 300 <= status < 400 or code in {"PermanentRedirect", "TemporaryRedirect", "Redirect"}:
        return ConfigError(f"{cannot}: {_redirect(error, answer, endpoint)}")
    if code == "NoSuchKey":
        return NotFound(f"{uri}: there is no such object")
    if status == 412 or code == "PreconditionFailed":
        return PreconditionFailed(f"{uri}: a conditional {verb} lost, the object is not the one it was")
    if code == "RequestTimeTooSkewed":
        return ConfigError(
            f"{cannot}: the clock of this machine ({datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC) and the "
            "store's differ by more than the store allows (15 minutes on AWS). Set this machine's clock (NTP)."
        )
    if status == 404 and code not in BY_CODE:
        return _of_404(cannot, verb, uri, error)
    cause = _cause(verb, status, code, reason, error)
    return cause.kind(f"{cannot}: {cause.text} (The store answered {heard}.)")


def _of_404(cannot: str, verb: str, uri: str, error: ClientError) -> RecommenderError:
    """A HEAD has no body, so a missing object looks like a missing bucket; any other 404 is not from S3."""
    if error.operation_name == "HeadObject":
        return NotFound(f"{uri}: there is no such object")
    return ConfigError(f"{cannot}: the answer is 404 without a code of S3: {NOT_S3}.")


def _cause(verb: str, status: int, code: str, reason: str, error: ClientError) -> Cause:
    if code in BY_CODE:
        return BY_CODE[code]
    if "Throttl" in code:
        return BUSY
    if code.startswith("KMS."):
        return KMS
    if "Quota" in code or "StorageFull" in code:
        return FULL
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status in {401, 403} or "AccessDenied" in code:
        return _denied(verb, reason, error)
    if status >= 500:
        return PASSING
    if status == 400 and code in {"400", "Bad Request", ""}:
        return Cause(
            ConfigError,
            "the store refuses the request without a reason. Usually the region is wrong or the "
            f"credentials have expired: check both in {CONNECTION}.",
        )
    return Cause(DataError, "the store refuses that.")


def _denied(verb: str, reason: str, error: ClientError) -> Cause:
    """Return the cause of a 403 without a specific code, from the text of the answer."""
    low = reason.lower()
    if "kms" in low:
        return KMS
    if "requester pays" in low:
        return PAYER
    if "assumerole" in error.operation_name.lower():
        text = (
            "access denied: the role cannot be assumed. Correct role_arn of the connection, the role's trust policy, "
            "or the right sts:AssumeRole of the credentials."
        )
        return Cause(ConfigError, text)
    if "explicit deny" in low:
        return Cause(ConfigError, "access denied: a policy forbids it, so no further right helps. Change that policy.")
    if "cap exceeded" in low or "quota" in low:
        return FULL
    text = (
        f"access denied. The credentials (in Airflow: of its connection) need the right to {verb} there; "
        "docs/operations.md lists the least that is needed. Without s3:ListBucket an object that is not there is "
        "also answered so."
    )
    return Cause(ConfigError, text)


def _redirect(error: ClientError, answer: str, endpoint: str) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    body: dict[str, str] = dict(error.response.get("Error", {}))  # type: ignore[arg-type]
    where = printable(headers.get("location") or body.get("Endpoint") or "nowhere")
    region = printable(headers.get("x-amz-bucket-region") or body.get("Region") or "")
    at = printable(endpoint) if endpoint else "the endpoint"
    if region:
        return f"the bucket is in the region {region} ({at} answered {answer}). Set region_name of {CONNECTION} to it."
    return (
        f"{at} answered {answer} and points to {where}. That was not followed, so no credentials went there. Set "
        f"endpoint_url of {CONNECTION} to the address of the S3 API itself (http or https, host, port), past any "
        "proxy or login page."
    )
