"""Approval by a person before anything is published: Airflow's human-in-the-loop.

Light to import, as the DAG file imports it; the content of the page is in `approval_page`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param

from include.recommender.errors import GateRejected

if TYPE_CHECKING:
    from .run import Run

log = logging.getLogger(__name__)

NOTE_CHARS = 500


def questions() -> dict[str, Param]:
    """The extra fields of the form. Airflow reads them in the constructor's call, where it merges params."""
    about = f"Stored permanently with the decision; at most {NOTE_CHARS} characters."
    return {"note": Param(None, type=["null", "string"], maxLength=NOTE_CHARS, title="Note", description=about)}


class Approve(ApprovalOperator):
    """Waits, without holding a worker, until somebody approves or rejects; a rejection fails the run.

    No approval is needed if the run moves no channel. A rejection or a timeout is not an error. The task still fails
    without retries, as the gate does, so that the run does not look as if it had published a model.
    """

    def __init__(self, *, patience: timedelta, **kwargs: Any) -> None:
        super().__init__(
            subject="Promote the candidate?",
            body="",
            response_timeout=patience,
            fail_on_reject=True,
            **kwargs,
        )
        self.patience = patience

    def execute(self, context: Context) -> dict[str, str]:
        """Request the approval and notify; continue at once if no approval is needed."""
        from .running import run_task

        return dict(run_task(lambda run: self._ask(run, context)))

    def _ask(self, run: Run, context: Context) -> dict[str, str]:
        from include.recommender.stages.run_report import write_report

        from .alerts import approval_wanted, send
        from .approval_page import body, reason_to_stay, subject

        state = run.workspace.registry.channels.read(run.facts.channel)
        nothing_moves = reason_to_stay(run, state)
        if nothing_moves:
            log.info("No approval is needed: %s", nothing_moves)
            run.note(no_approval_needed=nothing_moves)
            return {}
        write_report(run.workspace, run.facts.folder_id)
        self.subject, self.body = subject(run), body(run, state)
        run.note(question=self.subject)
        send(approval_wanted(run.facts.dag_id, run.facts.run_id, self.body, self.patience), context)
        super().execute(context)
        raise AssertionError("ApprovalOperator.execute waits")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Return who approved, or fail."""
        from .running import run_task

        return dict(run_task(lambda run: self._conclude(run, context, event)))

    def _conclude(self, run: Run, context: Context, event: dict[str, Any]) -> dict[str, str]:
        answered = answer(event)
        words = f"by {answered['by']}" + (f": {answered['note']}" if answered["note"] else "")
        run.note(answer=words)
        try:
            super().execute_complete(context, event)
        except HITLRejectException as error:
            raise GateRejected(f"Rejected {words}: nothing is published.") from error
        except HITLTimeoutError as error:
            raise GateRejected(
                f"Nobody answered within {self.response_timeout}: nothing is published. Clear this task to request the "
                "approval again."
            ) from error
        return answered


def answer(event: Mapping[str, Any]) -> dict[str, str]:
    """The name of the person and the note, in one line each."""
    user, given = event.get("responded_by_user") or {}, event.get("params_input") or {}
    words = {"by": user.get("name") or user.get("id") or "nobody", "note": given.get("note") or ""}
    return {name: " ".join(str(text).split())[:NOTE_CHARS] for name, text in words.items()}
