"""S3 URIs: read literally, and refused without a bucket or a prefix.

A key may contain `#`, `?` and `%`, which have a meaning in other URIs. Nothing is decoded or removed here.
"""

from __future__ import annotations

import re

from ..errors import ConfigError

KEY_BYTES = 1024  # the limit of S3
EXPECTED = "expected s3://bucket or s3://bucket/prefix"

_URI = re.compile(r"s3://([^/]*)(?:/(.*))?", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_OUR_SCHEMES = {"s3", "s3a", "s3n"}
_SPECIAL_SUFFIXES = {"--x-s3": "a directory bucket (it lists keys in no order)", "--ol-s3": "an Object Lambda alias"}


def split_uri(uri: str) -> tuple[str, str]:
    """``s3://bucket/some/prefix/`` -> (bucket, ``some/prefix``).

    Raises
    ------
    ConfigError
        It is no S3 URI, the bucket's name breaks the rules of S3, or the prefix is none that all stores keep apart.
    """
    problem = _scheme_problem(uri)
    found = _URI.fullmatch(uri)
    if problem is None and found is not None:
        bucket, path = found[1], found[2] or ""
        prefix = path.removesuffix("/")
        problem = _bucket_problem(bucket) or _prefix_problem(prefix if path != "/" else path)
        if problem is None:
            return bucket, prefix
    raise ConfigError(
        f"{_hidden(uri)} is not an S3 URI that can be used: {'; '.join(filter(None, [problem, EXPECTED]))}"
    )


def _hidden(uri: str) -> str:
    """The URI for a message, without a login in it."""
    return repr(re.sub(r"//[^/@]*@", "//***@", uri))


def _scheme_problem(uri: str) -> str | None:
    if uri != uri.strip():
        return "there is a blank or a line end before or after it"
    if uri.startswith("arn:"):
        return "an ARN names something else than a bucket with a prefix"
    scheme = _SCHEME.match(uri)
    name = scheme[1] if scheme else ""
    if name.lower() in {"http", "https"}:
        return (
            "that is an address of the web. The address of a store that is not Amazon's goes into endpoint_url of the "
            "Airflow connection (outside Airflow AWS_ENDPOINT_URL_S3)"
        )
    if name.lower() in _OUR_SCHEMES and name != "s3":
        return f"write s3:// in the place of {name}://"
    return None


def _bucket_problem(bucket: str) -> str | None:
    if bucket.startswith("arn:"):
        return "access points and other ARNs cannot be used"
    if "@" in bucket:
        return "keys do not belong into it. Put them into the Airflow connection (outside Airflow the environment)"
    if not _BUCKET.fullmatch(bucket) or ".." in bucket or _ADDRESS.fullmatch(bucket):
        return (
            f"the bucket is {bucket!r}, expected 3 to 63 lower-case letters, digits, dots and hyphens, no address, "
            "with a letter or digit first and last"
        )
    if bucket.startswith(("xn--", "sthree-")):
        return f"S3 reserves bucket names such as {bucket!r}"
    for suffix, kind in _SPECIAL_SUFFIXES.items():
        if bucket.endswith(suffix):
            return f"{bucket!r} is {kind}, not an ordinary bucket"
    return None


def _prefix_problem(prefix: str) -> str | None:
    try:
        size = len(prefix.encode())
    except UnicodeEncodeError:
        return "the prefix is not UTF-8"
    if size > KEY_BYTES:
        return f"the prefix has {size} bytes, and S3 takes keys of {KEY_BYTES} at most"
    if _UNPRINTABLE.search(prefix):
        return "the prefix holds a control character or a line end"
    for part in prefix.split("/") if prefix else []:
        if part in {"", ".", ".."}:
            return f"a part of the prefix is {part!r}: stores and tools disagree on //, . and .. in keys"
        if part != part.strip():
            return f"a part of the prefix, {part!r}, begins or ends with a blank"
    return None
