"""Waits for a job of AWS Batch in Airflow's triggerer.

The amazon provider's BatchJobTrigger needs aiobotocore, which pins boto3 to an old release, and leaves the job running
when somebody clears the task. One call every few seconds in a thread needs neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from include.recommender.errors import RecommenderError, TransientError

if TYPE_CHECKING:
    from .jobs import Jobs, JobState

log = logging.getLogger(__name__)

POLL_S = 15.0


class JobTrigger(BaseTrigger):
    """One event when a job has ended, or its time is over.

    Parameters
    ----------
    request : SHA-256 of the job's request
    deadline : ISO 8601, with its offset: the job is ended then
    """

    def __init__(self, *, job_id: str, request: str, aws_conn_id: str, deadline: str, poll_s: float = POLL_S) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id, self.request, self.aws_conn_id = job_id, request, aws_conn_id
        self.deadline, self.poll_s = deadline, poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Import path and arguments, for the triggerer."""
        names = ("job_id", "request", "aws_conn_id", "deadline", "poll_s")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: the state of the job, and `late` or `error`."""
        told, deadline = "", datetime.fromisoformat(self.deadline)
        while True:
            late = datetime.now(UTC) >= deadline
            try:
                state = await sync_to_async(self._look)(end=late)
            except TransientError as error:
                log.warning("%s", error)
            except RecommenderError as error:
                yield self._event(error=str(error))
                return
            else:
                if state.ended or late:
                    yield self._event(**asdict(state), late=late and not state.ended)
                    return
                if state.status != told:
                    told = state.status
                    log.info("Job %s is %s%s", self.job_id, told, f" ({state.reason})" if state.reason else "")
            await asyncio.sleep(self.poll_s)

    async def on_kill(self) -> None:
        """End the job when a person fails, clears or passes the task."""
        await sync_to_async(self._terminate)("the task was cleared or marked by a person")

    def _look(self, *, end: bool) -> JobState:
        """The state of the job; with `end`, one that has not ended is ended."""
        jobs = self._jobs()
        state = jobs.describe(self.job_id)
        if end and not state.ended:
            jobs.terminate(self.job_id, "the time of the task is over")
        return state

    def _terminate(self, reason: str) -> None:
        self._jobs().terminate(self.job_id, reason)
        log.info("Ended job %s: %s", self.job_id, reason)

    def _jobs(self) -> Jobs:
        from .client import jobs_of

        return jobs_of(self.aws_conn_id)

    def _event(self, **about: Any) -> TriggerEvent:
        event = {"job_id": self.job_id, "request": self.request, **about}
        return TriggerEvent(event)  # type: ignore[no-untyped-call]
