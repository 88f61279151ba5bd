"""Objects in S3: read, write, conditional write, list. Every fault becomes our error with bucket and key."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_exponential_jitter
from urllib3.exceptions import HTTPError

from ..errors import ConfigError, DataError, NotFound, PreconditionFailed, RecommenderError, TransientError
from ..plain_text import shown
from .content_types import content_type
from .disk import guarded
from .documents import SMALL_BYTES
from .faults import NOT_S3, STORE_ERRORS, translate
from .partial import CHUNK_BYTES, Partial, missing_bytes, private_file, resumed_file
from .redaction import printable
from .retries import watch
from .uris import split_uri

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

log = logging.getLogger(__name__)

PART_BYTES = 16 << 20
BODY_ATTEMPTS = 3
BODY_SECONDS = 300
READERS = 8
DELETE_KEYS = 1000
# At least one of them is in every page of a listing, also of an empty one.
LISTING_MARKS = {"IsTruncated", "KeyCount", "Name", "Contents"}

Progress = Callable[[int], None]


class _BrokeOffError(TransientError):
    """A response body ended early: botocore retries requests, but not this."""


_patient = retry(
    retry=retry_if_exception_type(_BrokeOffError),
    stop=stop_after_attempt(BODY_ATTEMPTS) | stop_after_delay(BODY_SECONDS),
    wait=wait_exponential_jitter(multiplier=0.1, max=5),
    reraise=True,
)


@dataclass(frozen=True)
class ObjectInfo:
    """One listed object: key, size and version (`etag`; not a hash of the bytes).

    modified_at : time of the last write by the clock of the store; None if it was not requested
    """

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ObjectStore:
    """A bucket and a prefix in it. Keys given to the methods are relative to the prefix.

    Memory of a download is a few ``READERS * CHUNK_BYTES`` (8 MiB), whatever the size of the object.
    """

    client: S3Client
    bucket: str
    prefix: str = ""

    def __post_init__(self) -> None:
        """Make the client retry transient faults only."""
        watch(self.client)

    @classmethod
    def at(cls, client: S3Client, uri: str) -> ObjectStore:
        """The store at ``s3://bucket/prefix``."""
        bucket, prefix = split_uri(uri)
        return cls(client, bucket, prefix)

    def under(self, prefix: str) -> ObjectStore:
        """The store with a longer prefix."""
        return ObjectStore(self.client, self.bucket, self._full(prefix.strip("/")))

    def uri(self, key: str) -> str:
        """``s3://bucket/prefix/key``."""
        return f"s3://{self.bucket}/{self._full(key)}"

    def _shown(self, key: str) -> str:
        """The URI, made safe for a message: the key is untrusted."""
        return shown(self.uri(key))

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def read(self, key: str) -> bytes:
        """Return the bytes of a small object. Raises NotFound, and DataError if it is not small."""
        return self.read_tagged(key)[0]

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """Return the bytes of a small object and their ETag. Raises as `read` does."""
        return self._get(key)

    @_patient
    def _get(self, key: str) -> tuple[bytes, str]:
        with self._named("read", key):
            answer = self.client.get_object(Bucket=self.bucket, Key=self._full(key))
        size_bytes = answer.get("ContentLength", 0)
        if size_bytes > SMALL_BYTES:
            answer["Body"].close()
            raise DataError(
                f"{self._shown(key)}: {size_bytes:,} bytes, expected at most {SMALL_BYTES:,}. Something else than this "
                "project wrote it: move it away, and run the task that wrote it again."
            )
        try:
            body = answer["Body"].read()
        except (BotoCoreError, HTTPError) as error:
            raise _BrokeOffError(f"Cannot read {self._shown(key)}: {printable(error)}") from error
        return body, self._etag("read", key, answer)

    def _etag(self, verb: str, key: str, answer: Mapping[str, Any]) -> str:
        """Return the ETag of an answer. An answer without one (a proxy's page) is not from S3."""
        if "ETag" not in answer:
            raise ConfigError(f"Cannot {verb} {self._shown(key)} at {self._endpoint}: no ETag in the answer; {NOT_S3}.")
        return str(answer["ETag"])

    def write(self, key: str, data: bytes, *, create_only: bool = False, if_match: str | None = None) -> str:
        """Write a small object and return its ETag.

        Raises PreconditionFailed when `create_only` and it exists, or it no longer has the ETag `if_match`.
        """
        conditions: dict[str, Any] = {"IfNoneMatch": "*"} if create_only else {}
        if if_match is not None:
            conditions = {"IfMatch": if_match}
        with self._named("write", key):
            answer = self.client.put_object(
                Bucket=self.bucket, Key=self._full(key), Body=data, ContentType=content_type(key), **conditions
            )
        return self._etag("write", key, answer)

    def upload(
        self, path: Path, key: str, metadata: Mapping[str, str] | None = None, *, create_only: bool = False
    ) -> None:
        """Write a file of any size with metadata, short ASCII texts. It is visible only when complete.

        Raises PreconditionFailed when `create_only` and it exists.
        """
        about = {"ContentType": content_type(key), "Metadata": dict(metadata or {})}
        condition = self._if_new(key) if create_only else nullcontext()
        # KeyError: of a first answer that names no upload: no S3 service.
        with self._named("write", key, KeyError), guarded(path, f"the upload to {self._shown(key)}"), condition:
            self.client.upload_file(str(path), self.bucket, self._full(key), ExtraArgs=about)

    @contextmanager
    def _if_new(self, key: str) -> Iterator[None]:
        """Add If-None-Match to the request that makes an object visible: `upload_file` has no argument for it."""
        full, events = self._full(key), self.client.meta.events

        def condition(params: dict[str, Any], **_: Any) -> None:
            if params.get("Key") == full and params.get("Bucket") == self.bucket:
                params["IfNoneMatch"] = "*"

        names = [f"provide-client-params.s3.{each}" for each in ("PutObject", "CompleteMultipartUpload")]
        for name in names:
            events.register(name, condition)
        try:
            yield
        finally:
            for name in names:
                events.unregister(name, condition)

    def exists(self, key: str) -> bool:
        """Whether the object exists."""
        try:
            self.head(key)
        except NotFound:
            return False
        return True

    def head(self, key: str) -> ObjectInfo:
        """Return size and ETag. Raises NotFound."""
        answer = self._head(key)
        return ObjectInfo(key, answer["ContentLength"], self._etag("read", key, answer))

    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what `upload` was given. Raises NotFound."""
        return self._head(key).get("Metadata", {})

    def _head(self, key: str) -> HeadObjectOutputTypeDef:
        with self._named("read", key):
            return self.client.head_object(Bucket=self.bucket, Key=self._full(key))

    def walk(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield all objects below a relative prefix, in the order of their keys."""
        skip = len(self._full(""))
        for page in self._pages(prefix):
            for row in page.get("Contents", []):
                yield ObjectInfo(row["Key"][skip:], row["Size"], row["ETag"], row["LastModified"])

    def folders(self, prefix: str = "") -> list[str]:
        """Names directly below a relative prefix that end in a slash, without it."""
        full = self._full(prefix)
        names: list[str] = []
        for page in self._pages(prefix, Delimiter="/"):
            names += [row["Prefix"][len(full) : -1] for row in page.get("CommonPrefixes", [])]
        return sorted(names)

    def _pages(self, prefix: str, **options: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a listing. Raises ConfigError if a page is not from S3: it would look empty."""
        with self._named("list", prefix):
            paginator = self.client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self.bucket, Prefix=self._full(prefix), **options):
                if not page.keys() & LISTING_MARKS:
                    raise ConfigError(f"Cannot list {self._shown(prefix)} at {self._endpoint}: {NOT_S3}.")
                yield page

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, a thousand a request; a missing object is not an error."""
        for start in range(0, len(keys), DELETE_KEYS):
            batch = keys[start : start + DELETE_KEYS]
            rows: Any = [{"Key": self._full(key)} for key in batch]
            with self._named("delete", batch[0]):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": rows})
            if failed := answer.get("Errors", []):
                raise self._not_deleted(failed)
            if not answer.get("Deleted"):
                raise ConfigError(f"Cannot delete {self._shown(batch[0])} at {self._endpoint}: {NOT_S3}.")

    def _not_deleted(self, failed: Sequence[Any]) -> RecommenderError:
        """Return one error for the keys that were not deleted; permanent causes come before transient ones."""
        errors = []
        for row in failed:
            # The answer to the whole request was 200; of a key the code alone says what it was.
            heard = ClientError({"Error": row}, "DeleteObjects")
            where = f"s3://{self.bucket}/{row.get('Key', '')}"
            errors.append(translate(heard, "delete", where, self._endpoint))
        first = min(errors, key=lambda error: isinstance(error, TransientError))
        others = f" {len(errors) - 1} more keys were not deleted either." if len(errors) > 1 else ""
        return type(first)(f"{first}{others}")

    def download(
        self,
        info: ObjectInfo,
        path: Path,
        *,
        sha256: str | None = None,
        progress: Progress | None = None,
        resumed: bool = False,
    ) -> str:
        """Fetch an object by parallel ranged reads pinned to its ETag; return the SHA-256 of the bytes.

        The file gets its name only when it is complete and verified.

        Parameters
        ----------
        resumed : go on where an earlier download of the same version ended, and keep what is there after a
            TransientError or ConfigError, but not on a full disk; otherwise a file that is not complete is deleted

        Raises
        ------
        DataError
            The object changed during the download, was truncated, or has an unexpected SHA-256.
        ConfigError
            The disk is full, or may not be written to.
        """
        doing, size = f"the download of {self._shown(info.key)}", info.size_bytes
        with guarded(path, doing, size), self._file(info, path, resumed) as part:
            found = self._fetch_ranges(info, part, progress)
            if sha256 is not None and found != sha256:
                raise DataError(
                    f"{self._shown(info.key)}: SHA-256 is {found}, expected {sha256}. "
                    "The object is corrupt or was overwritten; delete it and run the task that wrote it again."
                )
            part.finish(path)
            return found

    def _file(self, info: ObjectInfo, path: Path, resumed: bool) -> AbstractContextManager[Partial]:
        if not resumed:
            return private_file(path, info.size_bytes, PART_BYTES)
        return resumed_file(path, self._version(info), info.size_bytes, PART_BYTES)

    def missing_bytes(self, info: ObjectInfo, path: Path) -> int:
        """Bytes of disk that a resumed download is still to take, and another process that fetches the same."""
        return missing_bytes(path, self._version(info), info.size_bytes, PART_BYTES)

    def _version(self, info: ObjectInfo) -> str:
        return f"{self.uri(info.key)}\0{info.etag}"

    def _fetch_ranges(self, info: ObjectInfo, part: Partial, progress: Progress | None) -> str:
        """Fetch the ranges that are not there; return the SHA-256 of all, taken in order while others are fetched."""
        digest = hashlib.sha256()
        with ThreadPoolExecutor(min(READERS, max(1, part.n_ranges))) as pool:
            for number in pool.map(lambda number: self._fetch_range(info, part, number), range(part.n_ranges)):
                for data in part.read(number):
                    digest.update(data)
                if progress:
                    progress(part.bounds(number)[1])
        return digest.hexdigest()

    def _fetch_range(self, info: ObjectInfo, part: Partial, number: int) -> int:
        """Fetch a range unless it is there; return its number."""
        if part.has(number):
            return number
        try:
            part.mark(number, self._copy_range(info, part, number))
        except PreconditionFailed as error:
            raise DataError(
                f"{self._shown(info.key)}: the object changed while it was read (it is no longer the one with ETag "
                f"{info.etag}). Run the task resolve_snapshot again, when no upload is running."
            ) from error
        return number

    @_patient
    def _copy_range(self, info: ObjectInfo, part: Partial, number: int) -> int:
        """Write the bytes of a range as they come; return their CRC-32."""
        start, stop = part.bounds(number)
        crc = 0
        with closing(self._ask_range(info, start, stop)) as body:
            try:
                for data in body.iter_chunks(CHUNK_BYTES):
                    part.write(data, start)
                    start, crc = start + len(data), zlib.crc32(data, crc)
            except (BotoCoreError, HTTPError) as error:
                raise _BrokeOffError(f"Cannot read {self._shown(info.key)}: {printable(error)}") from error
        return crc

    def _ask_range(self, info: ObjectInfo, start: int, stop: int) -> StreamingBody:
        """The body of an answer that has the length of the range, and says so."""
        where: dict[str, Any] = {"Bucket": self.bucket, "Key": self._full(info.key)}
        with self._named("read", info.key):
            answer = self.client.get_object(**where, Range=f"bytes={start}-{stop - 1}", IfMatch=info.etag)
        body, n_bytes, expected = answer["Body"], answer.get("ContentLength", 0), stop - start
        try:
            self._require_version(info, self._etag("read", info.key, answer))
            if n_bytes > expected:
                raise DataError(
                    f"{self._shown(info.key)}: {n_bytes:,} bytes, expected the {expected:,} that were asked for. "
                    f"{self._endpoint} ignores ranges: connect to the store without what stands between."
                )
            if n_bytes < expected:
                raise TransientError(
                    f"{self._shown(info.key)}: bytes {start}-{stop - 1} truncated ({n_bytes} of {expected}); try again"
                )
        except RecommenderError:
            body.close()
            raise
        return body

    def _require_version(self, info: ObjectInfo, found: str) -> None:
        """Raise DataError if an answer is of another version: not every store or proxy obeys If-Match."""
        if _bare(found) != _bare(info.etag):
            raise DataError(
                f"{self._shown(info.key)}: the answer has ETag {shown(found)}, expected {shown(info.etag)}. The object "
                f"changed while it was read, and {self._endpoint} ignores If-Match. Run the task resolve_snapshot "
                "again, when no upload is running; connect to the store without what stands between."
            )

    @property
    def _endpoint(self) -> str:
        return printable(self.client.meta.endpoint_url)

    @contextmanager
    def _named(self, verb: str, key: str, *more: type[Exception]) -> Iterator[None]:
        faults: tuple[type[Exception], ...] = (*STORE_ERRORS, *more)
        try:
            yield
        except faults as error:
            raise translate(error, verb, self.uri(key), self._endpoint) from error


def _bare(etag: str) -> str:
    """An ETag without its quotes and the W/ that a proxy may put in front: stores write the same one differently."""
    return etag.removeprefix("W/").strip('"')
