"""What notifiers tell: enough to find the run and to act, in a form that every channel takes."""

from datetime import timedelta

from include.orchestration.alerts import SUBJECT_CHARS, approval_wanted

RUN = "manual__2026-11-25T02:03:38.841433+00:00"


def test_who_is_asked_to_approve_learns_which_run_waits_how_long_and_where_to_answer(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://ui")
    alert = approval_wanted("recommender_retrain", RUN, "the gate's table", timedelta(hours=72))
    assert alert.subject == f"recommender_retrain: APPROVAL WANTED ({RUN})"
    for told in (
        RUN,
        "the gate's table",
        "72 hours",
        "Required Actions",
        f"http://ui/dags/recommender_retrain/runs/{RUN}",
    ):
        assert told in alert.text


def test_a_subject_is_short_ascii_in_one_line_whatever_the_run_is_called():
    subject = approval_wanted("recommender_retrain", "ünicode" * 30, "", timedelta(hours=0.5)).subject
    assert subject.isascii()
    assert len(subject) <= SUBJECT_CHARS
    assert "\n" not in subject
