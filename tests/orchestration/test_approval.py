"""A person's answer: what it lets through, what it fails, and what is kept of it."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from include.orchestration import running as run_module
from include.orchestration.approval import NOTE_CHARS
from include.orchestration.approval import answer as answered
from include.orchestration.approval_page import body, plain, reason_to_stay, subject
from include.orchestration.failures import ResultReached
from include.orchestration.running import open_run
from include.recommender.runs.journal import Journal
from include.recommender.stages import judge

from ..candidates import CHANNEL, JULY, SEPTEMBER, Candidate
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


class Asked:
    """A run that came as far as the gate, on a real store, and what the store's registry holds by then."""

    def __init__(self, workspace, as_of, **params):
        self.candidate = Candidate(workspace, as_of)
        _, gated = self.candidate.judge()
        made = {
            "parse_reviews": self.candidate.parsed,
            "evaluate": self.candidate.evaluated,
            "recall_gate": gated,
        }
        pull = {name: {"uri": artifact.uri, "reused": False} for name, artifact in made.items()}.get
        ti = SimpleNamespace(
            task_id="approve",
            try_number=1,
            xcom_pull=lambda task_ids, key="return_value", map_indexes=None: pull(task_ids),
        )
        about = context(logical_date=as_of, channel=CHANNEL, **params) | {"ti": ti}
        self.run = open_run(about, workspace)


def state(workspace):
    return workspace.registry.channels.read(CHANNEL)


def test_an_older_date_moves_nothing_and_nobody_is_asked(workspace):
    newer = Candidate(workspace, SEPTEMBER)
    newer.promote()
    older = Asked(workspace, JULY)
    assert "knows more" in reason_to_stay(older.run, state(workspace))
    assert newer.model_id in reason_to_stay(older.run, state(workspace))
    assert reason_to_stay(Asked(workspace, SEPTEMBER).run, state(workspace)) is None


def test_a_promotion_by_hand_moves_nothing_and_nobody_is_asked(workspace):
    asked = Asked(workspace, JULY, promotion="by_hand")
    assert "promotion is by hand" in reason_to_stay(asked.run, None)


def test_the_page_has_a_markdown_table_the_report_and_what_will_happen(workspace):
    first = Candidate(workspace, JULY)
    first.promote()
    asked = Asked(workspace, SEPTEMBER)
    text = body(asked.run, state(workspace))
    lines = text.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    judged = judge.read_judged(workspace, asked.candidate.evaluated)
    assert len(rows) == len(judged) + 2
    assert {line.count("|") for line in rows} == {9}
    assert rows[1].startswith("| --- |")
    assert "```" not in text
    assert lines[lines.index(rows[0]) - 1] == ""  # Markdown wants a blank line before a table
    assert "/recommender/runs/recommender_retrain/r1)" in text
    assert f"`{CHANNEL}` points to `{first.model_id}` now, and is moved to the new version" in text
    assert "points nowhere now" in body(asked.run, None)
    assert CHANNEL in subject(asked.run)


@pytest.mark.parametrize("text", ["a|b", "x\n\n# big", "[l](javascript:x)", "<img src=x>", "`c` *b* _i_ ~s~ ![i](u)"])
def test_texts_of_people_are_shown_as_they_are(text):
    shown = plain(text)
    assert "\n" not in shown
    assert re.sub(r"\\(.)", r"\1", shown) == " ".join(text.split())
    assert not re.search(r"(?<!\\)[|<>`*_\[\]#!~]", shown)


def test_who_answered_and_the_note_are_one_line_each():
    assert answered({"responded_by_user": {"id": "7"}}) == {"by": "7", "note": ""}
    about = answered(answer("Approve", "one\ntwo" + "x" * 9000))
    assert about["note"].startswith("one two")
    assert len(about["note"]) == NOTE_CHARS
