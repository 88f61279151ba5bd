"""The three calls to AWS Batch: submit, describe, terminate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from include.recommender.errors import ConfigError, NotFound, RecommenderError, TransientError
from include.recommender.storage.faults import STORE_ERRORS, translate
from include.recommender.storage.redaction import printable

from .place import Place

if TYPE_CHECKING:
    from mypy_boto3_batch.client import BatchClient

NAME_CHARS = 128
SPOT_LOSS = "Host EC2"  # the beginning of Batch's reason where the machine is gone
# A machine that was taken away is replaced by Batch itself; what the job says itself is final there.
RETRIES: dict[str, Any] = {
    "attempts": 3,
    "evaluateOnExit": [
        {"onStatusReason": f"{SPOT_LOSS}*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job, as Batch describes it.

    status : SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, SUCCEEDED or FAILED
    reason : why it has this status; container_reason : what its container says of that
    stopped : somebody has asked for its end
    """

    status: str
    reason: str = ""
    container_reason: str = ""
    exit_code: int | None = None
    log_stream: str = ""
    log_group: str = ""
    stopped: bool = False

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.status in {"SUCCEEDED", "FAILED"}


@dataclass(frozen=True)
class Jobs:
    """AWS Batch."""

    client: BatchClient

    def submit(
        self, place: Place, name: str, command: Sequence[str], environment: dict[str, str], longest: timedelta
    ) -> str:
        """Submit a job; return its id.

        Parameters
        ----------
        longest : an attempt that takes longer is ended

        Raises
        ------
        ConfigError
            Queue, definition or right is missing.
        TransientError
            Batch failed for now.
        """
        try:
            answer = self.client.submit_job(
                jobName=re.sub(r"[^A-Za-z0-9_-]", "-", name)[:NAME_CHARS],
                jobQueue=place.queue,
                jobDefinition=place.definition,
                containerOverrides={
                    "command": list(command),
                    "environment": [{"name": key, "value": value} for key, value in environment.items()],
                },
                retryStrategy=RETRIES,  # type: ignore[arg-type]
                timeout={"attemptDurationSeconds": max(60, round(longest.total_seconds()))},
            )
        except STORE_ERRORS as error:
            raise _translated(error, "SubmitJob", str(place)) from error
        return answer["jobId"]

    def describe(self, job_id: str) -> JobState:
        """The state of a job. Raises NotFound if Batch does not know it (any more), ConfigError or TransientError."""
        try:
            found = self.client.describe_jobs(jobs=[job_id])["jobs"]
        except STORE_ERRORS as error:
            raise _translated(error, "DescribeJobs", job_id) from error
        if not found:
            raise NotFound(f"AWS Batch knows no job {job_id}. Clear the task: it then submits another.")
        job = found[0]
        container = job.get("container", {})
        return JobState(
            status=job["status"],
            reason=printable(job.get("statusReason", "")),
            container_reason=printable(container.get("reason", "")),
            exit_code=container.get("exitCode"),
            log_stream=printable(container.get("logStreamName", "")),
            log_group=printable(container.get("logConfiguration", {}).get("options", {}).get("awslogs-group", "")),
            stopped=bool(job.get("isTerminated") or job.get("isCancelled")),
        )

    def terminate(self, job_id: str, reason: str) -> None:
        """End a job, also one that waits. Raises ConfigError or TransientError."""
        try:
            self.client.terminate_job(jobId=job_id, reason=reason)
        except STORE_ERRORS as error:
            raise _translated(error, "TerminateJob", job_id) from error


def _translated(error: BaseException, call: str, where: str) -> RecommenderError:
    if not isinstance(error, ClientError):
        return translate(error, "reach", f"AWS Batch ({call} {where})")
    code = printable(error.response.get("Error", {}).get("Code", ""))
    text = printable(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    heard = f"AWS Batch refused {call} {where} ({status} {code}: {text})"
    if status >= 500 or status == 429 or "Throttl" in code or code == "TooManyRequestsException":
        return TransientError(f"{heard}; try again")
    if status in {401, 403} or "AccessDenied" in code:
        return ConfigError(
            f"{heard}. The credentials of the Airflow connection need the right batch:{call}; "
            "deploy/aws/policies/submit.json has it."
        )
    return ConfigError(
        f"{heard}. RECOMMENDER_AWS_BATCH names a job queue and a job definition of the connection's account and "
        "region; docs/bigger-machine.md says how to make them."
    )
