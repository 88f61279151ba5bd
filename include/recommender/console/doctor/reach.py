"""The store: is it reached, by whom, in which region, and what does its clock say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ...errors import RecommenderError
from ...storage.faults import STORE_ERRORS, translate
from ...storage.redaction import printable
from .examined import Examined, Heard
from .findings import DoctorCheck, DoctorFinding, failed, fine, unchecked, warning

SHOWN_OF_KEY = 4
STS_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
SLOW_S, WRONG_S = 5.0, 300.0  # S3 refuses a request whose time differs by more than 900 s
NTP = "Set this machine's clock: timedatectl set-ntp true (in a container: that of its host)."
ASK = "Correct what the message names. The same question: aws s3 ls $RECOMMENDER_ROOT/models/"
KEYS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role "
    "(docs/operations.md, First start on your bucket)."
)


def credentials(about: Examined) -> DoctorFinding:
    """Whether there are credentials, and whose they are where STS can be asked."""
    session = boto3.Session()
    try:
        found = session.get_credentials()
        key = access_key()
    except BotoCoreError as error:
        return failed(f"the credentials cannot be had: {printable(error)}", "credentials that boto3 finds", KEYS)
    if found is None:
        return failed("boto3 finds no credentials", "a key, a profile or a role", KEYS)
    who = f"access key ...{key[-SHOWN_OF_KEY:]} from {found.method}"
    return fine(f"{who}{_identity(about, session)}")


def access_key() -> str:
    """The id of the key that boto3 finds, "" for none. Raises BotoCoreError."""
    found = boto3.Session().get_credentials()
    return (found.get_frozen_credentials().access_key or "") if found else ""


def key_source() -> str:
    """Where boto3 finds the key, in its own words, such as "env" or "iam-role". Raises BotoCoreError."""
    found = boto3.Session().get_credentials()
    return str(found.method) if found else ""


def _identity(about: Examined, session: boto3.Session) -> str:
    """Who that is; not asked where the store is not Amazon's, whose STS does not know the key."""
    endpoint = about.environment.get("AWS_ENDPOINT_URL_STS") or about.environment.get("AWS_ENDPOINT_URL")
    if not endpoint and not _is_amazon(about):
        return ""
    try:
        region = session.region_name or "us-east-1"
        sts = session.client("sts", endpoint_url=endpoint or None, region_name=region, config=STS_CONFIG)
        return f", {printable(sts.get_caller_identity()['Arn'])}"
    except (BotoCoreError, ClientError, KeyError) as error:
        return f" (STS says nothing of it: {printable(error)})"


def _is_amazon(about: Examined) -> bool:
    given = about.endpoint_url or about.environment.get("AWS_ENDPOINT_URL_S3") or ""
    return not given or (urlsplit(given).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def bucket(about: Examined) -> DoctorFinding:
    """One listing: address, bucket, key and signature at once. Raises what the store's refusal means."""
    objects = about.objects
    asked_at, uri = datetime.now(UTC), objects.uri("models/")
    prefix = uri.removeprefix(f"s3://{objects.bucket}/")
    try:
        answer: Mapping[str, Any] = objects.client.list_objects_v2(Bucket=objects.bucket, Prefix=prefix, MaxKeys=1)
    except STORE_ERRORS as error:
        if isinstance(error, ClientError):
            _hear(about, error.response, asked_at)
        raise translate(error, "list", uri, str(objects.client.meta.endpoint_url)) from error
    _hear(about, answer, asked_at)
    return fine(f"{objects.bucket} answers at {printable(objects.client.meta.endpoint_url)}")


def _hear(about: Examined, answer: Mapping[str, Any], asked_at: datetime) -> None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    about.region = str(headers.get("x-amz-bucket-region", ""))
    if "date" in headers:
        about.heard = Heard(str(headers["date"]), asked_at, datetime.now(UTC))


def clock(about: Examined) -> DoctorFinding:
    """The clock of this machine against the Date header of the store's answer, which has whole seconds."""
    if about.heard is None:
        with suppress(RecommenderError):  # what a refusal means is said by the check of the bucket
            bucket(about)
    if about.heard is None:
        return unchecked("no answer of the store with a Date")
    try:
        theirs = parsedate_to_datetime(about.heard.date).timestamp()
    except ValueError:
        return unchecked(f"the store's Date is none: {printable(about.heard.date)}")
    # Right clocks: the store answered between the two instants, and cut off less than a second.
    behind, ahead = theirs - about.heard.answered_at.timestamp(), about.heard.asked_at.timestamp() - (theirs + 1)
    off = max(behind, ahead, 0.0)
    seen = f"this clock is {off:,.0f} s {'behind' if behind > ahead else 'ahead of'} the store's ({about.heard.date})"
    if off > WRONG_S:
        return failed(seen, f"at most {SLOW_S:.0f} s; S3 refuses requests from 900 s on", NTP)
    if off > SLOW_S:
        return warning(seen, f"at most {SLOW_S:.0f} s", NTP)
    return fine(f"within {max(off, 1.0):.0f} s of the store's")


def region(about: Examined) -> DoctorFinding:
    """The region of the bucket against that of the client."""
    ours = about.objects.client.meta.region_name
    if not about.region:
        return unchecked(f"the store does not name the bucket's region; this client's is {ours}")
    if about.region != ours:
        return warning(
            f"{about.objects.bucket} is in {about.region}, this client asks {ours}",
            "one region: each request is redirected else, and data costs its way",
            f"Set AWS_DEFAULT_REGION, and region_name of the Airflow connection, to {about.region}.",
        )
    return fine(about.region)


CHECKS = (
    DoctorCheck("store", "credentials", credentials),
    DoctorCheck("store", "bucket", bucket, ("credentials",), "a listing of models/ below RECOMMENDER_ROOT", ASK),
    DoctorCheck("store", "region", region, ("bucket",)),
    DoctorCheck("store", "clock", clock),
)
