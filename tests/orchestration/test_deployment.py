"""What the environment makes of the DAG, and what it says of wrong values."""

import traceback
from datetime import timedelta

import pytest

from include.orchestration.deployment import SNS_NOTIFIER, Deployment, training_pool
from include.orchestration.schedule import read_schedule
from include.recommender.errors import ConfigError

ARN = "arn:aws:sns:eu-west-1:123456789012:recommender"


def test_an_empty_environment_runs_weekly_waits_for_nobody_and_notifies_nobody():
    defaults = Deployment(
        schedule=read_schedule({}), training_pool="default_pool", place=None, wait=None, approval=None, notifiers=()
    )
    assert Deployment.from_environment({}) == defaults


@pytest.mark.parametrize(("text", "pool"), [("", "default_pool"), ("  ", "default_pool"), (" training ", "training")])
def test_the_training_pool_is_read_without_the_rest(text, pool):
    about = {"RECOMMENDER_TRAINING_POOL": text, "RECOMMENDER_SCHEDULE": "wrong"}
    assert training_pool(about) == pool


def test_waiting_and_approval_have_their_hours():
    found = Deployment.from_environment({"RECOMMENDER_WAIT_HOURS": "1.5", "RECOMMENDER_APPROVAL": "1"})
    assert (found.wait, found.approval) == (timedelta(minutes=90), timedelta(hours=72))
    found = Deployment.from_environment({"RECOMMENDER_APPROVAL_HOURS": "2"})
    assert (found.wait, found.approval) == (None, None)


def test_a_topic_is_notified_in_its_own_region():
    found = Deployment.from_environment(
        {
            "RECOMMENDER_SNS_TOPIC_ARN": ARN,
            "RECOMMENDER_NOTIFIERS": '[{"class": "a.b.C", "kwargs": {"x": "{{ alert.text }}"}}]',
        }
    )
    sns, other = found.notifiers
    assert (sns.path, sns.kwargs["target_arn"], sns.kwargs["region_name"]) == (SNS_NOTIFIER, ARN, "eu-west-1")
    assert (other.path, other.kwargs) == ("a.b.C", {"x": "{{ alert.text }}"})


WRONG = {
    "RECOMMENDER_SCHEDULE": ["weekly", "@fortnightly", "61 * * * *"],
    "RECOMMENDER_SCHEDULE_TIMEZONE": ["Europe/Nowhere", "+02:00", "europe/berlin", "../etc/passwd", "local"],
    "RECOMMENDER_WAIT_HOURS": ["soon", "-1", "nan", "9000"],
    "RECOMMENDER_APPROVAL": ["yes"],
    "RECOMMENDER_APPROVAL_HOURS": ["0", "x"],
    "RECOMMENDER_SNS_TOPIC_ARN": ["recommender", "arn:aws:sqs:eu-west-1:123456789012:x"],
    "RECOMMENDER_NOTIFIERS": [
        "a.b.C",
        '{"class": "a.b.C"}',
        '["a.b.C"]',
        '[{"class": "C"}]',
        '[{"class": "a.b.C", "kwargs": 1}]',
    ],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_named_with_what_was_expected(name, value):
    with pytest.raises(ConfigError) as caught:
        Deployment.from_environment({name: value})
    (problem,) = caught.value.problems
    assert problem.startswith(name)
    assert "expected" in problem


TOKEN = "xoxb-12345-hunter2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'[{{"class": "a.b.C", "kwargs": {{"token": "{TOKEN}"}}}}', "not JSON .line 1, column"),
        (f"[{{'class': 'a.b.C', 'kwargs': {{'token': '{TOKEN}'}}}}]", "not JSON"),
        (TOKEN, "not JSON"),
        (f'"{TOKEN}"', "a text in the place of a list"),
        (f'{{"class": "a.b.C", "kwargs": {{"token": "{TOKEN}"}}}}', "an object in the place of a list"),
        (f'["{TOKEN}"]', "entry 1 is a text"),
        (f'[{{"class": "a.b.C"}}, {{"class": "a.b.C", "kwargs": "{TOKEN}"}}]', "entry 2 has a text in kwargs"),
        (f'[{{"class": "https://hooks.example/{TOKEN}"}}]', "entry 1 has no import path"),
        (f'[{{"class": "a.b.C", "token": "{TOKEN}"}}]', "entry 1 does not have the keys"),
        (f'[{{"{TOKEN}": 1}}]', "entry 1 does not have the keys"),
        (f'[{{"kwargs": {{"token": "{TOKEN}"}}}}]', "entry 1 does not have the keys"),
        ("[" * 100_000 + TOKEN, "nested|not JSON"),
    ],
)
def test_notifiers_that_are_wrong_are_named_by_place_and_kind_and_not_by_value(text, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        Deployment.from_environment({"RECOMMENDER_NOTIFIERS": text})
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert "RECOMMENDER_NOTIFIERS: " in shown
    assert caught.value.__context__ is None


def test_a_deployment_that_is_printed_shows_no_tokens():
    text = f'[{{"class": "a.b.C", "kwargs": {{"token": "{TOKEN}"}}}}]'
    found = Deployment.from_environment({"RECOMMENDER_NOTIFIERS": text})
    assert found.notifiers[0].kwargs == {"token": TOKEN}
    assert "hunter2" not in repr(found) + str(found.notifiers)


def test_all_wrong_values_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Deployment.from_environment({name: values[0] for name, values in WRONG.items()})
    assert [problem.split("=")[0].split(":")[0] for problem in caught.value.problems] == [
        "RECOMMENDER_WAIT_HOURS",
        "RECOMMENDER_SCHEDULE_TIMEZONE",
        "RECOMMENDER_SCHEDULE",
        "RECOMMENDER_APPROVAL",
        "RECOMMENDER_SNS_TOPIC_ARN",
        "RECOMMENDER_NOTIFIERS",
        "RECOMMENDER_APPROVAL_HOURS",
    ]
