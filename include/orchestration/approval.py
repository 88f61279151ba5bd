"""A person's word before anything is published: Airflow's human-in-the-loop.

Light to import, as the DAG file does it; what the page shows is in `approval_page`.
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
    """What the form asks besides. Airflow wants it in the constructor's call, where it merges params."""
    about = f"Kept with the decision for good; at most {NOTE_CHARS} characters."
    return {"note": Param(None, type=["null", "string"], maxLength=NOTE_CHARS, title="Note", description=about)}


class Approve(ApprovalOperator):
    """Waits, without holding a worker, until somebody approves or rejects; a rejection fails the run.

    Nobody is asked where the run moves no channel. A rejection, or no answer in time, is not an error but nothing may
    look as if a model had been published: the task fails without retries, as the gate does.
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
        """Ask, and tell the notifiers that somebody is asked; or go on at once where there is nothing to ask."""
        from .run import run_task

        return dict(run_task(lambda run: self._ask(run, context)))

    def _ask(self, run: Run, context: Context) -> dict[str, str]:
        from include.recommender.stages.run_report import write_report

        from .alerts import approval_wanted, send
        from .approval_page import body, reason_to_stay, subject

        state = run.workspace.registry.channels.read(run.facts.channel)
        nothing_moves = reason_to_stay(run, state)
        if nothing_moves:
            log.info("Nobody is asked: %s", nothing_moves)
            run.note(not_asked=nothing_moves)
            return {}
        write_report(run.workspace, run.facts.folder_id)
        self.subject, self.body = subject(run), body(run, state)
        run.note(asked=self.subject)
        send(approval_wanted(run.facts.dag_id, run.facts.run_id, self.body, self.patience), context)
        super().execute(context)
        raise AssertionError("ApprovalOperator.execute waits")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Go on with who approved, or fail."""
        from .run import run_task

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
                f"Nobody answered within {self.response_timeout}: nothing is published. Clear this task to ask again."
            ) from error
        return answered


def answer(event: Mapping[str, Any]) -> dict[str, str]:
    """Who answered, and the note, in one line each."""
    user, given = event.get("responded_by_user") or {}, event.get("params_input") or {}
    words = {"by": user.get("name") or user.get("id") or "nobody", "note": given.get("note") or ""}
    return {name: " ".join(str(text).split())[:NOTE_CHARS] for name, text in words.items()}
