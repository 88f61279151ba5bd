"""Waits for a job of AWS Batch in Airflow's triggerer.

The amazon provider's BatchJobTrigger needs aiobotocore, which pins boto3 to an old release, and leaves the job running
when somebody clears the task. One call every few seconds in a thread needs neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from include.recommender.errors import NotFound, RecommenderError, TransientError

if TYPE_CHECKING:
    from .jobs import Jobs, JobState

log = logging.getLogger(__name__)

POLL_S = 15.0
GRACE = timedelta(minutes=10)  # after the deadline, for a Batch that cannot be reached


class JobTrigger(BaseTrigger):
    """One event when a job has ended, or its time is over.

    Parameters
    ----------
    request : SHA-256 of the job's request
    deadline : ISO 8601, with its offset: the job is ended then
    adopted : it is the job of an earlier try
    """

    def __init__(
        self, *, job_id: str, request: str, aws_conn_id: str, deadline: str, adopted: bool, poll_s: float = POLL_S
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.about: dict[str, Any] = {
            "job_id": job_id,
            "request": request,
            "aws_conn_id": aws_conn_id,
            "deadline": deadline,
            "adopted": adopted,
            "poll_s": poll_s,
        }
        self._batch: Jobs | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Import path and arguments, for the triggerer."""
        return f"{type(self).__module__}.{type(self).__name__}", self.about

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: the state of the job, and `late` or `error`."""
        shown, deadline = "", datetime.fromisoformat(self.about["deadline"])
        while True:
            overdue = datetime.now(UTC) - deadline
            late = overdue >= timedelta()
            try:
                state = await sync_to_async(self._look)(end=late)
            except TransientError as error:
                log.warning("%s", error)
                if overdue >= GRACE:
                    yield self._event(error=f"its time is over, and it may still run, for {error}")
                    return
            except RecommenderError as error:
                yield self._event(error=await sync_to_async(self._give_up)(error))
                return
            else:
                if state.ended or late:
                    yield self._event(**asdict(state), late=late and not state.ended)
                    return
                if state.status != shown:
                    shown = state.status
                    log.info(
                        "Job %s is %s%s", self.about["job_id"], shown, f" ({state.reason})" if state.reason else ""
                    )
            await asyncio.sleep(self.about["poll_s"])

    async def on_kill(self) -> None:
        """End the job when a person fails, clears or passes the task."""
        await sync_to_async(self._terminate)("the task was cleared or marked by a person")

    def _look(self, *, end: bool) -> JobState:
        """The state of the job; with `end`, one that has not ended is ended."""
        state = self._jobs().describe(self.about["job_id"])
        if end and not state.ended:
            self._terminate("the time of the task is over")
        return state

    def _give_up(self, error: RecommenderError) -> str:
        """Why the job cannot be followed, and what became of it."""
        if isinstance(error, NotFound):
            return str(error)
        try:
            self._terminate("its task cannot follow it any more")
        except RecommenderError:
            return (
                f"{error} The job may still run: end it in the console of AWS Batch, or clear the task to wait for it."
            )
        return f"{error} The job was ended."

    def _terminate(self, reason: str) -> None:
        self._jobs().terminate(self.about["job_id"], reason)
        log.info("Ended job %s: %s", self.about["job_id"], reason)

    def _jobs(self) -> Jobs:
        from .client import jobs_of

        self._batch = self._batch or jobs_of(self.about["aws_conn_id"])
        return self._batch

    def _event(self, **state: Any) -> TriggerEvent:
        known = {name: self.about[name] for name in ("job_id", "request", "adopted")}
        return TriggerEvent(known | state)  # type: ignore[no-untyped-call]
