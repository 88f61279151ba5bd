"""What notifiers send: enough to find the run and to act, in a form that every channel takes."""

import json
import sys
import types
from datetime import timedelta

import pytest
from airflow.sdk import BaseNotifier

from include.orchestration.alerts import SUBJECT_CHARS, Alert, approval_wanted, send

TOKEN = "T00/B00/hunter2hunter2"
HOOK = f"https://hooks.example.com/services/{TOKEN}"

RUN = "manual__2026-11-25T02:03:38.841433+00:00"


def test_who_is_asked_to_approve_learns_which_run_waits_how_long_and_where_to_answer(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://ui")
    alert = approval_wanted("recommender_retrain", RUN, "the gate's table", timedelta(hours=72))
    assert alert.subject == f"recommender_retrain: APPROVAL WANTED ({RUN})"
    for expected in (
        RUN,
        "the gate's table",
        "72 hours",
        "Required Actions",
        f"http://ui/dags/recommender_retrain/runs/{RUN}",
    ):
        assert expected in alert.text


def test_a_subject_is_short_ascii_in_one_line_whatever_the_run_is_called():
    subject = approval_wanted("recommender_retrain", "ünicode" * 30, "", timedelta(hours=0.5)).subject
    assert subject.isascii()
    assert len(subject) <= SUBJECT_CHARS
    assert "\n" not in subject


class Hook(BaseNotifier):
    """A notifier whose service fails, and says so with what it was given."""

    template_fields = ("url",)

    def __init__(self, url, key="", headers=None):
        super().__init__()
        self.url, self.key, self.headers = url, key, headers

    def notify(self, context):
        raise ConnectionError(f"404 Client Error for url: {self.url}?token={self.key} ({self.headers})")


@pytest.fixture
def hook(monkeypatch):
    """The notifier under an import path."""
    module = types.ModuleType("shop_hooks")
    module.Hook = Hook
    monkeypatch.setitem(sys.modules, "shop_hooks", module)

    def configure(**kwargs):
        monkeypatch.setenv("RECOMMENDER_NOTIFIERS", json.dumps([{"class": "shop_hooks.Hook", "kwargs": kwargs}]))

    return configure


@pytest.mark.parametrize(
    "kwargs",
    [
        {"url": HOOK},
        {"url": "https://me:hunter2hunter2@mail.example.com"},
        {"url": "https://x.example/?key=1", "key": "hunter2hunter2"},
        {"url": "https://x.example", "headers": {"Authorization": ["Bearer hunter2hunter2"]}},
        {"url": HOOK, "no_such_argument": "hunter2hunter2"},
        {"url": "https://" + "x" * 280 + "/hunter2hunter2"},
    ],
)
def test_a_notifier_that_fails_is_named_without_what_it_was_given(hook, caplog, kwargs):
    from airflow.sdk._shared.secrets_masker import redact

    hook(**kwargs)
    send(Alert("subject", "text"), {})
    ours = [record.getMessage() for record in caplog.records if record.name == "include.orchestration.alerts"]
    assert len(ours) == 1
    assert ours[0].startswith("shop_hooks.Hook did not send 'subject': ")
    assert "Error" in ours[0]
    assert not any(record.exc_info for record in caplog.records if record.name == "include.orchestration.alerts")
    assert "hunter2" not in "".join(ours)
    # What Airflow's own base class logs goes through its mask.
    assert "hunter2" not in redact(caplog.text)


def test_a_topic_is_not_notified_with_the_credentials_of_the_machine(monkeypatch, caplog):
    monkeypatch.setenv("RECOMMENDER_SNS_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:recommender")
    monkeypatch.setenv("RECOMMENDER_AWS_CONN_ID", "nobody")
    send(Alert("subject", "text"), {})
    assert "no Airflow connection nobody" in caplog.text
