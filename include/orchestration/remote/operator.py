"""A heavy task as a job of AWS Batch. The task is deferred meanwhile, so it holds no worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from msgspec.structs import replace

from include.recommender.errors import NotFound, RecommenderError
from include.recommender.runs.journal import Journal, run_name

from .place import LONGEST, Place
from .trigger import POLL_S, JobTrigger

if TYPE_CHECKING:
    from ..run import Run, XCom
    from .documents import JobFiles, JobRequest, Ticket
    from .jobs import Jobs

log = logging.getLogger(__name__)

ENTRY = ("python", "-m", "include.orchestration.job")


class AwsBatchTask(BaseOperator):
    """Submits the task as a job, waits deferred, and returns what the job made.

    A job that an earlier try left running is waited for, and not submitted twice.

    Parameters
    ----------
    place : the value of RECOMMENDER_AWS_BATCH
    """

    def __init__(self, *, place: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.place = place
        self._submitted: str | None = None

    def execute(self, context: Context) -> None:
        """Submit the job and defer."""
        from ..running import run_task

        run_task(self._submit)

    def resume(self, context: Context, event: Mapping[str, Any]) -> XCom:
        """Return the job's result, or raise its error."""
        from ..running import run_task

        return dict(run_task(lambda run: self._conclude(run, event)))

    def on_kill(self) -> None:
        """End a job that was submitted in this process; once deferred, the trigger does that."""
        if self._submitted:
            self._jobs().terminate(self._submitted, "the task was killed")

    def _submit(self, run: Run) -> None:
        from .documents import Ticket

        files, jobs = self._files(run), self._jobs()
        key, digest = files.write_request(self._request(run))
        left = _left_running(files, jobs, digest)
        job_id = left or self._start(run, jobs, key, digest)
        if left is None:
            self._submitted = job_id
            _keep(files, jobs, Ticket(job_id, digest))
        run.note(job=job_id)
        deadline = datetime.now(UTC) + (self.execution_timeout or LONGEST)
        trigger = JobTrigger(
            job_id=job_id,
            request=digest,
            aws_conn_id=_conn_id(),
            deadline=deadline.isoformat(),
            adopted=left is not None,
            poll_s=POLL_S,
        )
        self.defer(trigger=trigger, method_name="resume")

    def _start(self, run: Run, jobs: Jobs, key: str, digest: str) -> str:
        from ..settings import Settings

        settings, place = Settings.from_environment(), Place.parse(self.place)
        command = [*ENTRY, key, digest, str(run.record.try_number)]
        environment = {"RECOMMENDER_ROOT": settings.root, "RECOMMENDER_SNAPSHOTS": settings.snapshots}
        name = f"{self.task_id}-{run_name(run.facts.folder_id)}"
        job_id = jobs.submit(place, name, command, environment, self.execution_timeout or LONGEST)
        log.info("Submitted to AWS Batch, %s: job %s (%s)", place, job_id, name)
        return job_id

    def _request(self, run: Run) -> JobRequest:
        from ..heavy import HEAVY
        from .documents import JobRequest, Made

        outputs = {task: run.pull(task) for task in HEAVY[self.task_id].reads}
        return JobRequest(task=self.task_id, facts=run.facts, outputs=outputs, made=Made.here())

    def _conclude(self, run: Run, event: Mapping[str, Any]) -> XCom:
        from .ending import outcome_error, without_outcome

        run.note(job=event["job_id"])
        outcome = self._files(run).outcome(event["job_id"], event["request"])
        if outcome is None:
            raise without_outcome(event, self.place)
        for line in outcome.log:
            log.info("%s", line)
        run.record = replace(outcome.record, facts={**outcome.record.facts, **run.record.facts})
        if outcome.record.error is not None:
            raise outcome_error(outcome.record.error)
        return outcome.result or {}

    def _files(self, run: Run) -> JobFiles:
        from .documents import JobFiles

        return JobFiles.of(Journal(run.workspace.root, run.facts.folder_id), self.task_id)

    def _jobs(self) -> Jobs:
        from .client import jobs_of

        return jobs_of(_conn_id())


def _conn_id() -> str:
    from ..settings import Settings

    return Settings.from_environment().aws_conn_id


def _keep(files: JobFiles, jobs: Jobs, ticket: Ticket) -> None:
    """Store the ticket; a job that no later try could find is ended."""
    try:
        files.write_ticket(ticket)
    except RecommenderError:
        jobs.terminate(ticket.job_id, "its ticket could not be stored")
        raise


def _left_running(files: JobFiles, jobs: Jobs, digest: str) -> str | None:
    """The job of an earlier try of the same request, if it still runs. Raises what `Jobs.describe` does: while nobody
    knows whether that job runs, no other is submitted."""
    ticket = files.ticket()
    if ticket is None or ticket.request != digest:
        return None
    try:
        state = jobs.describe(ticket.job_id)
    except NotFound:
        return None
    if state.ended or state.stopped:
        return None
    log.info("An earlier try left job %s %s: waiting for it", ticket.job_id, state.status)
    return ticket.job_id
