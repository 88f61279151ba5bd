"""Each right of a role on each prefix, by the real calls, and what the bucket itself should do.

Where a role may write, one small object with a fixed name stays, `<prefix>/.probe-doctor`: the DAG's role cannot delete
it. It is written create-only, so that a second look writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ...errors import ConfigError, NotFound, PreconditionFailed
from ...registry.atomicity import ROUNDS, WRITERS, check_conditional_writes
from ...storage.objects import ObjectInfo, ObjectStore
from .examined import Examined, Role
from .findings import DoctorCheck, DoctorFinding, failed, fine, unchecked, warning

PROBE = ".probe-doctor"
PROBE_TEXT = b"Written by `doctor` to see whether it may. It may be deleted.\n"
WRITTEN = ("artifacts", "models", "channels", "reports", "tuned", "recommendations")
READ = {
    Role.DAG: (*WRITTEN, "retired"),
    Role.API: ("models", "channels"),
    Role.READER: ("models", "channels", "retired", "reports", "recommendations"),
}
POLICIES = "The policies are in docs/operations.md and deploy/aws/policies."
DENIED = "access denied"
RACE = "of writers that race for one key, one wins"
UPDATE = "Update the store, or use another: Amazon S3, or versitygw from 1.8.0 on."


def root(about: Examined) -> DoctorFinding:
    """Whether anything is below the root; looked at before probes are written there."""
    where = about.objects.uri("")
    with suppress(ConfigError):  # a right that is missing is said by the check of the prefix
        if all(_of_doctor(row.key) for row in _below(about)):
            return warning(
                f"{where}: nothing is there, neither snapshots nor what a run writes",
                "snapshots, artifacts, versions or a channel, unless this is a new deployment",
                "Check the prefix in RECOMMENDER_ROOT. Doctor has now written objects .probe-doctor below this one.",
            )
    return fine(where)


def _below(about: Examined) -> Iterator[ObjectInfo]:
    """What is below the root; snapshots only where they are kept there."""
    for folder in (*WRITTEN, "retired"):
        yield from about.objects.walk(f"{folder}/")
    if about.snapshots.uri("").startswith(about.objects.uri("")):
        yield from about.snapshots.walk()


def _of_doctor(key: str) -> bool:
    """Whether doctor wrote an object, or its race."""
    return key.rpartition("/")[2].startswith(".probe-")


def on_prefix(folder: str, about: Examined) -> DoctorFinding:
    """List, write where the role does, read."""
    return _rights(about.objects, folder, about.role)


def on_snapshots(about: Examined) -> DoctorFinding:
    """List and read; the DAGs write nothing there."""
    return _rights(about.snapshots, "", about.role)


def _rights(store: ObjectStore, folder: str, role: Role) -> DoctorFinding:
    below = f"{folder}/" if folder else ""
    where, writes = store.uri(below), role is Role.DAG and folder in WRITTEN
    tried = [_list(store, below), *([_write(store, below)] if writes else []), _read(store, below, probe=writes)]
    refused = [each for each in tried if each.refusal]
    if refused:
        return failed(
            "\n".join(each.refusal for each in refused),
            f"the role {role} may {' and '.join(each.verb for each in refused)} {where}",
            f"Allow {', '.join(each.action for each in refused)} on {where}* in the policy of the role. {POLICIES}",
        )
    if role is not Role.DAG and not _write(store, below).refusal:
        return warning(
            f"{store.uri(f'{below}{PROBE}')} could be written",
            f"the role {role} only reads",
            f"Take s3:PutObject on {where}* out of its policy, or give it a key of its own. {POLICIES}",
        )
    return fine(", ".join(each.verb for each in tried))


@dataclass(frozen=True)
class _Tried:
    """A right that was tried, and the store's refusal, if it was one."""

    verb: str
    action: str
    refusal: str = ""


def _tried(verb: str, action: str, call: Callable[[], object]) -> _Tried:
    try:
        call()
    except ConfigError as error:
        return _Tried(verb, action, str(error))
    return _Tried(verb, action)


def _list(store: ObjectStore, below: str) -> _Tried:
    return _tried("list", "s3:ListBucket", lambda: next(iter(store.walk(below)), None))


def _read(store: ObjectStore, below: str, *, probe: bool) -> _Tried:
    """Read the probe, or ask for the head of what is there or could be, which takes the same right."""

    def read() -> None:
        with suppress(NotFound):  # that it is missing is said only to who may read
            if probe:
                store.read(f"{below}{PROBE}")
            else:
                store.head(_first(store, below) or f"{below}{PROBE}")

    return _tried("read", "s3:GetObject", read)


def _first(store: ObjectStore, below: str) -> str | None:
    with suppress(ConfigError):
        return next((row.key for row in store.walk(below)), None)
    return None


def _write(store: ObjectStore, below: str) -> _Tried:
    def write() -> None:
        # That it is there already is said only to who may write.
        with suppress(PreconditionFailed):
            store.write(f"{below}{PROBE}", PROBE_TEXT, create_only=True)

    return _tried("write", "s3:PutObject", write)


def conditional_writes(about: Examined) -> DoctorFinding:
    """Writers that race for one key. Raises ConfigError where two win."""
    check_conditional_writes(about.objects)
    return fine(f"of {WRITERS} writers that raced for a key, one won, in {2 * ROUNDS} races")


def create_only(about: Examined) -> DoctorFinding:
    """Whether the bucket refuses to overwrite a version, whoever asks."""
    key = f"models/{PROBE}"
    try:
        about.objects.write(key, PROBE_TEXT)
    except ConfigError as error:
        if DENIED in str(error):
            return fine(f"a write to {about.objects.uri('models/')} without If-None-Match is refused")
        raise
    return warning(
        f"{about.objects.uri(key)} was overwritten",
        "a bucket policy that refuses to overwrite anything below models/",
        "Put deploy/aws/policies/bucket.json on the bucket; where a store has no policies, let nothing else write.",
    )


def _asked(about: Examined, call: Callable[..., Mapping[str, Any]]) -> Mapping[str, Any] | str:
    """An answer about the bucket, or the code of the refusal."""
    try:
        return call(Bucket=about.objects.bucket)
    except ClientError as error:
        return str(error.response.get("Error", {}).get("Code", ""))


def versioning(about: Examined) -> DoctorFinding:
    """Whether what is overwritten or deleted can be had back."""
    answer, bucket = _asked(about, about.objects.client.get_bucket_versioning), about.objects.bucket
    if isinstance(answer, str):
        return unchecked(f"the store does not say ({answer}); it takes s3:GetBucketVersioning")
    if answer.get("Status") == "Enabled":
        return fine("on")
    command = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    return warning(
        f"{bucket}: versioning is {str(answer.get('Status', 'off')).lower()}",
        "on: a pointer that was deleted by accident can then be restored",
        command,
    )


def lifecycle(about: Examined) -> DoctorFinding:
    """Whether a rule ends uploads that were killed."""
    answer = _asked(about, about.objects.client.get_bucket_lifecycle_configuration)
    if isinstance(answer, str) and answer != "NoSuchLifecycleConfiguration":
        return unchecked(f"the store does not say ({answer}); it takes s3:GetLifecycleConfiguration")
    rules = [] if isinstance(answer, str) else answer.get("Rules", [])
    root = about.objects.uri("").removeprefix(f"s3://{about.objects.bucket}/")
    ending = [rule for rule in rules if _ends_uploads(rule, root)]
    if ending:
        days = ending[0]["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation")
        return fine(f"uploads that were killed end after {days} days")
    return warning(
        f"{about.objects.bucket}: no rule ends the uploads that were killed below {about.objects.uri('')}",
        "AbortIncompleteMultipartUpload: their parts are billed, and invisible",
        "docs/operations.md (Disk, cache, store): deploy.policies, then aws s3api put-bucket-lifecycle-configuration",
    )


def _ends_uploads(rule: Mapping[str, Any], root: str) -> bool:
    filtered = rule.get("Filter", {})
    prefix = filtered.get("Prefix", filtered.get("And", {}).get("Prefix", rule.get("Prefix", "")))
    covers = root.startswith(str(prefix)) and not filtered.get("Tag")
    return rule.get("Status") == "Enabled" and "AbortIncompleteMultipartUpload" in rule and covers


def checks(role: Role) -> tuple[DoctorCheck[Examined], ...]:
    """Those of a role."""
    needs = ("bucket",)
    found = [DoctorCheck("rights", f"{name}/", partial(on_prefix, name), needs) for name in READ[role]]
    if role is not Role.DAG:
        return tuple(found)
    channels = ("channels/",)
    return (
        DoctorCheck("rights", "root", root, needs),
        DoctorCheck("rights", "snapshots", on_snapshots, needs),
        *found,
        DoctorCheck("rights", "conditional writes", conditional_writes, channels, RACE, UPDATE),
        DoctorCheck("rights", "create-only models/", create_only, ("models/",)),
        DoctorCheck("rights", "versioning", versioning, needs),
        DoctorCheck("rights", "lifecycle", lifecycle, needs),
    )
