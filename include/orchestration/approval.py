"""A person's word before anything is published: Airflow's human-in-the-loop, with the gate's table to decide on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NoReturn

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param

from include.recommender.errors import GateRejected

from .run import Run, run_task

SUBJECT = (
    "Publish and promote the model as of {{ params.as_of or dag_run.logical_date or dag_run.run_after }}? "
    "{{ ti.xcom_pull(task_ids='recall_gate')['headline'] }}"
)
BODY = """
Approve: the model is refitted, published, and `{{ params.channel }}` is moved to it.
Reject: nothing is published, and this run fails.

```
{{ ti.xcom_pull(task_ids='recall_gate')['table'] }}
```
"""


def questions() -> dict[str, Param]:
    """What the form asks besides. Airflow wants it in the constructor's call, where it merges params."""
    return {"note": Param(None, type=["null", "string"], title="Note", description="Kept with the decision for good.")}


class Approve(ApprovalOperator):
    """Waits, without holding a worker, until somebody approves or rejects; a rejection fails the run.

    A rejection, or no answer in time, is not an error but nothing may look as if a model had been published: the task
    fails without retries, as the gate does.
    """

    def __init__(self, *, patience: timedelta, **kwargs: Any) -> None:
        super().__init__(
            subject=SUBJECT,
            body=BODY,
            response_timeout=patience,
            fail_on_reject=True,
            **kwargs,
        )
        self.patience = patience

    def execute(self, context: Context) -> None:
        """Ask; tell the notifiers that somebody is asked."""
        run_task(lambda run: self._ask(run, context))

    def _ask(self, run: Run, context: Context) -> NoReturn:
        from .alerts import approval_wanted, send

        run.note(asked=self.subject)
        send(approval_wanted(run.facts.dag_id, run.facts.run_id, str(self.body), self.patience), context)
        super().execute(context)
        raise AssertionError("ApprovalOperator.execute waits")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Go on with who approved, or fail."""
        return dict(run_task(lambda run: self._conclude(run, context, event)))

    def _conclude(self, run: Run, context: Context, event: dict[str, Any]) -> dict[str, str]:
        told = _told(event)
        run.note(answer=told)
        try:
            super().execute_complete(context, event)
        except HITLRejectException as error:
            raise GateRejected(f"Rejected {told}: nothing is published.") from error
        except HITLTimeoutError as error:
            raise GateRejected(
                f"Nobody answered within {self.response_timeout}: nothing is published. Clear this task to ask again."
            ) from error
        return {"approved": told}


def _told(event: Mapping[str, Any]) -> str:
    """By whom, and the note."""
    user = event.get("responded_by_user") or {}
    note = (event.get("params_input") or {}).get("note")
    return f"by {user.get('name') or 'nobody'}" + (f": {note}" if note else "")
