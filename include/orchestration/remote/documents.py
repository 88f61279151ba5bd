"""What a task and its job tell each other: documents in the store, below `reports/<run>/jobs/`.

The task passes the SHA-256 of its request on the job's command line, so the job runs what the task wrote, and nothing
that somebody else put there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from include.recommender.errors import DataError, NotFound
from include.recommender.registry.provenance import code_version, library_versions
from include.recommender.runs.journal import Journal, RunFacts, TaskRecord
from include.recommender.storage.documents import Origin, Sha256, decode, to_json
from include.recommender.storage.objects import ObjectStore

FOLDER = "jobs"
FOR_A_PERSON = 78  # exit status, EX_CONFIG of sysexits.h: another try does not help, and there is no outcome
REMEDY = "Clear the task: it then submits another job."


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code and libraries of a deployment, by which artifacts are known. Both sides must have the same."""

    code: str
    libraries: dict[str, str]

    @classmethod
    def here(cls) -> Made:
        """Those of this process."""
        return cls(code_version(), library_versions())


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a job is to run: a task of `heavy`, in a run, on the outputs of earlier tasks (task -> XCom)."""

    task: str
    facts: RunFacts
    outputs: dict[str, Any]
    made: Made


class JobOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of a job: its record, which holds the error if it failed, else the result; and the end of its log."""

    request: Sha256
    record: TaskRecord
    result: dict[str, Any] | None = None
    log: list[str] = []


class Ticket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest job of a task, so that another try finds it."""

    job_id: str
    request: Sha256


@dataclass(frozen=True)
class GivenOutputs:
    """The XComs that a request carries."""

    given: Mapping[str, Any]

    def pull(self, task: str, key: str) -> Any:
        """The return value of a task, or None."""
        return self.given.get(task) if key == "return_value" else None

    def pull_all(self, tasks: Sequence[str]) -> list[Any]:
        """The return values of several tasks."""
        return [self.given.get(task) for task in tasks]


def digest_of(raw: bytes) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True)
class JobFiles:
    """The documents of one task of a run."""

    objects: ObjectStore
    run_folder: str
    task: str

    @classmethod
    def of(cls, journal: Journal, task: str) -> JobFiles:
        """Those beside a run's journal."""
        return cls(journal.objects, journal.folder, task)

    def write_request(self, request: JobRequest) -> tuple[str, str]:
        """Store a request; return its key and SHA-256. The same request has the same key."""
        raw = to_json(request)
        digest = digest_of(raw)
        key = self._key(f"request-{digest[:16]}")
        self.objects.write(key, raw)
        return key, digest

    def write_outcome(self, job_id: str, outcome: JobOutcome) -> None:
        """Store what came of a job."""
        self.objects.write(self._key(f"outcome-{job_id}"), to_json(outcome))

    def outcome(self, job_id: str, request: str) -> JobOutcome | None:
        """What came of a job; None if it ended before it could say.

        Raises
        ------
        DataError
            It is damaged, or of another request.
        """
        key = self._key(f"outcome-{job_id}")
        origin = Origin(self.objects.uri(key), "an outcome of a job", REMEDY)
        try:
            found = decode(self.objects.read(key), JobOutcome, origin)
        except NotFound:
            return None
        wrong = [
            "it is of another request" if found.request != request else None,
            f"it is of the task {found.record.task!r}" if found.record.task != self.task else None,
            "it has neither a result nor an error" if found.result is None and found.record.error is None else None,
        ]
        if any(wrong):
            raise origin.refusal([problem for problem in wrong if problem])
        return found

    def write_ticket(self, ticket: Ticket) -> None:
        """Store which job is the newest of the task."""
        self.objects.write(self._key("ticket"), to_json(ticket))

    def ticket(self) -> Ticket | None:
        """The newest job; None if there is none, or its note is damaged."""
        key = self._key("ticket")
        try:
            return decode(self.objects.read(key), Ticket, Origin(self.objects.uri(key), "a ticket", REMEDY))
        except DataError:
            return None

    def _key(self, name: str) -> str:
        return f"{self.run_folder}/{FOLDER}/{self.task}/{name}.json"


def read_request(objects: ObjectStore, key: str, digest: str) -> JobRequest:
    """Read the request with this SHA-256.

    Raises
    ------
    DataError
        There is none, or it has another SHA-256.
    """
    raw = objects.read(key)
    if digest_of(raw) != digest:
        raise DataError(
            f"{objects.uri(key)}: SHA-256 is {digest_of(raw)}, expected {digest}: somebody changed the request after "
            f"the task had written it. {REMEDY}"
        )
    return decode(raw, JobRequest, Origin(objects.uri(key), "a request of a job", REMEDY))
