"""A heavy task as a job on another machine: `python -m include.orchestration.job KEY SHA256 TRY`.

`remote.operator` submits it. It needs no Airflow: RECOMMENDER_ROOT, RECOMMENDER_SNAPSHOTS and RECOMMENDER_CACHE say
where it works, and boto3 finds the credentials of the job's role. Exit status: 0 done, 1 failed, 78
failed without an outcome in the store, where another try does not help.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType

from msgspec.structs import replace

from include.recommender.errors import ConfigError, DataError, RecommenderError, TransientError
from include.recommender.runs.journal import Journal, TaskRecord
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.cache import claim
from include.recommender.storage.client import s3_client

from .heavy import HEAVY, HeavyTask
from .recording import failed, recorded
from .remote.documents import FOR_A_PERSON, GivenOutputs, JobFiles, JobOutcome, JobRequest, Made, read_request
from .run import Run
from .settings import Settings

log = logging.getLogger(__name__)

KEPT_LINES, LINE_CHARS = 400, 2000
USAGE = "usage: python -m include.orchestration.job KEY SHA256 TRY (remote.operator submits it)"


class TerminatedError(BaseException):
    """Batch asked the container to end."""


class Tail(logging.Handler):
    """The last lines of the log, for the task's own log in Airflow."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(self.format(record)[:LINE_CHARS])


@dataclass(frozen=True, kw_only=True)
class Called:
    """What the task passed: the key of the request, its SHA-256, and the number of the try."""

    run_folder: str
    task: str
    key: str
    digest: str
    try_number: int

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Called:
        """Read the command line. Raises ConfigError."""
        patterns = (r"(reports/[^/\s]+)/jobs/([a-z_]+)/request-[0-9a-f]{16}\.json", r"[0-9a-f]{64}", r"[1-9][0-9]{0,5}")
        found = [re.fullmatch(*pair) for pair in zip(patterns, arguments, strict=False)]
        if len(arguments) != len(patterns) or found[0] is None or None in found:
            raise ConfigError(USAGE)
        key, digest, number = arguments
        return cls(run_folder=found[0][1], task=found[0][2], key=key, digest=digest, try_number=int(number))


def main(arguments: Sequence[str]) -> int:
    """Run one task; the exit status."""
    tail = Tail()
    _set_up_logging(tail)
    # The first process of a container ignores SIGTERM unless it handles it.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        called, job_id = Called.read(arguments), _job_id()
        workspace = Settings.from_environment().workspace(s3_client())
        outcome = _run(called, job_id, workspace)
        files = JobFiles(workspace.root, called.run_folder, called.task)
        files.write_outcome(job_id, replace(outcome, log=list(tail.lines)))
    except RecommenderError as error:
        log.error("%s: %s", type(error).__name__, error)
        return 1 if isinstance(error, TransientError) else FOR_A_PERSON
    return 0 if outcome.record.error is None else 1


def _run(called: Called, job_id: str, workspace: Workspace) -> JobOutcome:
    """Run the task; its outcome, also if it failed."""
    record = TaskRecord(
        task=called.task,
        state="running",
        try_number=called.try_number,
        started_at=datetime.now(UTC).isoformat(),
        facts={"job": job_id},
    )
    run: Run | None = None
    try:
        request = read_request(workspace.root, called.key, called.digest)
        task = _task_of(request)
        run = Run.of(request.facts, workspace, record, GivenOutputs(request.outputs))
        claim(workspace.cache)
        journal = Journal(workspace.root, request.facts.folder_id)
        journal.write(record)
        log.info("%s of run %s, try %d", called.task, request.facts.run_id, called.try_number)
        result = recorded(run, journal, task.body)
    except Exception as error:  # the task raises it again
        if isinstance(error, RecommenderError):
            log.error("%s: %s", type(error).__name__, error)
        else:
            log.exception("%s failed", called.task)
        ended = run.record if run is not None and run.record.error else failed(record, error)
        return JobOutcome(request=called.digest, record=ended)
    return JobOutcome(request=called.digest, record=run.record, result=result)


def _task_of(request: JobRequest) -> HeavyTask:
    """The task of a request. Raises DataError, or ConfigError if this image has other code than Airflow."""
    if request.task not in HEAVY:
        raise DataError(f"{request.task!r} is no task that runs as a job; those are {', '.join(HEAVY)}")
    here = Made.here()
    if here != request.made:
        raise ConfigError(
            f"The image of the job has other code or libraries than the Airflow that submitted it: {here} in the place "
            f"of {request.made}. Push the image of Airflow's release, and register the job definition with it."
        )
    return HEAVY[request.task]


def _job_id() -> str:
    """The id that Batch gave the job."""
    found = os.environ.get("AWS_BATCH_JOB_ID", "")
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", found):
        raise ConfigError(f"AWS_BATCH_JOB_ID is {found[:80]!r}: a job runs in AWS Batch, which sets it")
    return found


def _set_up_logging(tail: Tail) -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(message)s", handlers=[logging.StreamHandler(sys.stdout), tail]
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))


def _terminated(signum: int, frame: FrameType | None) -> None:
    raise TerminatedError(f"signal {signum}: AWS Batch ends the job")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
