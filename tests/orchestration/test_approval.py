"""A person's answer: what it lets through, what it fails, and what is kept of it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from include.orchestration import run as run_module
from include.orchestration.failures import ResultReached
from include.recommender.reporting.journal import Journal

from .test_run import context

ANSWERED = datetime(2018, 9, 4, tzinfo=UTC)


def answer(option, note=None):
    return {
        "chosen_options": [option],
        "params_input": {"note": note},
        "responded_at": ANSWERED,
        "responded_by_user": {"id": "1", "name": "ann"},
    }


@pytest.fixture
def conclude(deployment, workspace, monkeypatch):
    """Answers a waiting task; returns what it hands on."""
    from include.orchestration.approval import Approve, questions

    operator = Approve(task_id="approve", patience=timedelta(hours=1), params=questions())
    about = context() | {"ti": SimpleNamespace(task_id="approve", try_number=1)}
    monkeypatch.setattr(run_module, "get_current_context", lambda: about)
    return lambda event: operator.execute_complete(about, event)


def record(workspace):
    return Journal(workspace.root, "r1").read("approve")


def test_an_approval_hands_on_who_and_why(conclude, workspace):
    assert conclude(answer("Approve", "looked at the table")) == {"by": "ann", "note": "looked at the table"}
    assert conclude(answer("Approve")) == {"by": "ann", "note": ""}
    assert (record(workspace).state, record(workspace).facts) == ("success", {"answer": "by ann"})


def test_a_rejection_fails_the_task_without_retries(conclude, workspace):
    with pytest.raises(ResultReached, match="Rejected by ann: not now: nothing is published"):
        conclude(answer("Reject", "not now"))
    assert record(workspace).error.kind == "GateRejected"


def test_no_answer_in_time_fails_the_task_without_retries(conclude, workspace):
    with pytest.raises(ResultReached, match="Nobody answered within 1:00:00: nothing is published"):
        conclude({"error": "The timeout has passed", "error_type": "timeout"})
    assert record(workspace).state == "failed"
