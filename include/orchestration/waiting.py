"""Waiting for a run's snapshot without holding a worker: the task is deferred to Airflow's triggerer.

The amazon provider's deferrable S3KeySensor needs aiobotocore, which pins boto3 to an old release, and it retries its
own timeout. One listing a minute needs neither. Light to import, as the DAG file imports it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from include.recommender.errors import NotFound, RecommenderError, TransientError

if TYPE_CHECKING:
    from .run import Run

log = logging.getLogger(__name__)

POLL_S = 60.0


class WaitForSnapshot(BaseOperator):
    """Succeeds when a review file lies under the run's own snapshot: the param `snapshot`, else the run's date.

    Parameters
    ----------
    patience : how long after the start of the run it may land
    """

    def __init__(self, *, patience: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patience = patience

    def execute(self, context: Context) -> None:
        """Check once; defer if the snapshot has not landed."""
        from .running import run_task

        began = context["dag_run"].start_date or datetime.now(UTC)
        deadline = began + self.patience
        run_task(lambda run: self._look(run, deadline))

    def _look(self, run: Run, deadline: datetime) -> None:
        from include.recommender.data.snapshots import has_landed

        from .settings import Settings

        wanted = run.facts.snapshot or run.run_date.date().isoformat()
        run.note(waits_for=wanted)
        if has_landed(run.workspace.snapshots, wanted):
            return
        settings = Settings.from_environment()
        log.info("%s is not there yet; waiting until %s", run.workspace.snapshots.uri(wanted), deadline)
        self.defer(
            trigger=SnapshotTrigger(settings.snapshots, settings.aws_conn_id, wanted, deadline.isoformat()),
            method_name="resume",
        )

    def resume(self, context: Context, event: Mapping[str, Any]) -> None:
        """Continue, or fail without retries, according to the event."""
        from .running import run_task

        run_task(lambda run: _conclude(run, event))


def _conclude(run: Run, event: Mapping[str, Any]) -> None:
    wanted = event["snapshot"]
    run.note(waits_for=wanted)
    if event.get("error"):
        raise NotFound(event["error"])
    log.info("%s has landed", run.workspace.snapshots.uri(wanted))


class SnapshotTrigger(BaseTrigger):
    """Checks for a snapshot until a deadline.

    Parameters
    ----------
    snapshots : S3 URI of the dated folders
    deadline : ISO 8601, with its offset
    """

    def __init__(self, snapshots: str, aws_conn_id: str, snapshot: str, deadline: str, poll_s: float = POLL_S) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.about = {
            "snapshots": snapshots,
            "aws_conn_id": aws_conn_id,
            "snapshot": snapshot,
            "deadline": deadline,
            "poll_s": poll_s,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Import path and arguments, for the triggerer."""
        return f"{type(self).__module__}.{type(self).__name__}", self.about

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: landed, or `error` with the reason."""
        deadline = datetime.fromisoformat(str(self.about["deadline"]))
        while True:
            late = datetime.now(UTC) >= deadline
            landed, error = await sync_to_async(self._look)()
            if landed or error or late:
                event = {"snapshot": self.about["snapshot"], "error": error or (None if landed else self._late())}
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                return
            left = (deadline - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(max(0.0, min(float(str(self.about["poll_s"])), left)))

    def _look(self) -> tuple[bool, str | None]:
        """Whether the snapshot has landed, and an error that waiting does not fix."""
        from include.recommender.data.snapshots import has_landed
        from include.recommender.storage.objects import ObjectStore

        from .settings import s3_client

        snapshots = str(self.about["snapshots"])
        try:
            store = ObjectStore.at(s3_client(str(self.about["aws_conn_id"])), snapshots)
            return has_landed(store, str(self.about["snapshot"])), None
        except TransientError as error:
            log.warning("%s", error)
            return False, None
        except RecommenderError as error:
            return False, str(error)

    def _late(self) -> str:
        from include.recommender.data.file_names import ENDINGS

        where = f"{self.about['snapshots']}/{self.about['snapshot']}/"
        return (
            f"{where}: no review file (ending in {', '.join(ENDINGS)}) had landed by {self.about['deadline']}. "
            "Upload it and clear this task, name another in the parameter `snapshot`, or raise RECOMMENDER_WAIT_HOURS."
        )
