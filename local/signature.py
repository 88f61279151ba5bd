"""AWS Signature Version 4 as the server checks it: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html

Signatures in headers alone; presigned addresses are refused. botocore signs the request anew, and both must be equal.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_to_bytes

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from deploy.stack import REGION, Store

ALGORITHM = "AWS4-HMAC-SHA256"
CLOCK_SKEW = timedelta(minutes=15)
DATE_FORMAT = "%Y%m%dT%H%M%SZ"

Pairs = Sequence[tuple[str, str]]


class Refused(Exception):
    """A request that the server does not serve: S3's error code, HTTP status, and why."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True)
class Request:
    """What of a request is signed: path and query as they came, headers with their names in lower case."""

    method: str
    path: str
    query: str
    headers: Pairs

    def header(self, name: str) -> str:
        """A header that occurs once, or an empty text. Raises Refused if it occurs more than once."""
        values = [value for each, value in self.headers if each == name]
        if len(values) > 1:
            raise Refused("InvalidRequest", f"more than one header {name}", 400)
        return values[0] if values else ""


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """What a request says of its own signature."""

    credential: str
    signed_headers: str
    signature: str
    date: str
    body_sha256: str


def check(request: Request, store: Store, now: datetime) -> str:
    """Check a request's signature; return what the signature says of the body: its SHA-256 in hex, or a word of S3.

    Raises
    ------
    Refused
        Not signed, by another key, out of date, or changed since it was signed.
    """
    claim = _claim(request)
    _check_date(claim, _check_scope(claim, store), now)
    names = claim.signed_headers.split(";")
    if "host" not in names:
        raise Refused("AccessDenied", "the signature does not cover the header host")
    unsigned = [name for name, _ in request.headers if name.startswith("x-amz-") and name not in names]
    if unsigned:
        raise Refused("AccessDenied", f"the signature does not cover the header {unsigned[0]}")
    wanted = _signature(request, claim, store)
    if not hmac.compare_digest(wanted.encode(), claim.signature.encode(errors="replace")):
        raise Refused("SignatureDoesNotMatch", "the signature is not that of this request by this home's secret key")
    return claim.body_sha256


def _claim(request: Request) -> _Claim:
    found = re.fullmatch(
        rf"{ALGORITHM} Credential=([^\s,]+), *SignedHeaders=([^\s,]+), *Signature=([0-9a-f]{{64}})",
        request.header("authorization"),
    )
    if found is None:
        raise Refused("AccessDenied", "the request is not signed with AWS Signature Version 4")
    body = request.header("x-amz-content-sha256")
    if not body:
        raise Refused("AccessDenied", "the header x-amz-content-sha256 is missing")
    return _Claim(
        credential=found[1],
        signed_headers=found[2],
        signature=found[3],
        date=request.header("x-amz-date"),
        body_sha256=body,
    )


def _check_scope(claim: _Claim, store: Store) -> str:
    """Day of the credential."""
    key_id, _, scope = claim.credential.partition("/")
    if not hmac.compare_digest(key_id.encode(errors="replace"), store.key_id.encode()):
        raise Refused("InvalidAccessKeyId", "the access key id is not that of this home")
    day = scope.partition("/")[0]
    if scope != f"{day}/{REGION}/s3/aws4_request":
        raise Refused("SignatureDoesNotMatch", f"the scope {scope!r} is not of region {REGION} and service s3")
    return day


def _check_date(claim: _Claim, day: str, now: datetime) -> None:
    try:
        date = datetime.strptime(claim.date, DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise Refused("AccessDenied", "X-Amz-Date is missing, or is no date") from None
    if claim.date[:8] != day:
        raise Refused("SignatureDoesNotMatch", "the day of the credential is not that of X-Amz-Date")
    if abs(date - now) > CLOCK_SKEW:
        raise Refused("RequestTimeTooSkewed", f"signed at {claim.date}, more than 15 minutes from now")


def _signature(request: Request, claim: _Claim, store: Store) -> str:
    """What botocore signs for the same request, of its headers those that are said to be signed."""
    auth = S3SigV4Auth(Credentials(store.key_id, store.secret), "s3", REGION)
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in _pairs(request.query))
    url = f"http://host{_encode(_decode(request.path), keep='/')}?{query}"
    headers = {name: request.header(name) for name in claim.signed_headers.split(";")}
    same = AWSRequest(request.method, url, headers=headers)
    same.context["timestamp"] = claim.date
    return str(auth.signature(auth.string_to_sign(same, auth.canonical_request(same)), same))


def _pairs(query: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(_decode(name), _decode(value)) for name, _, value in parts]


def _decode(text: str) -> str:
    """Percent-decoded; bytes that are no UTF-8 keep their identity."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _encode(text: str, keep: str = "") -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe=f"{keep}-_.~")
