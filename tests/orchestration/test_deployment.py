"""What the environment makes of the DAG, and what it says of wrong values."""

from datetime import timedelta

import pytest

from include.orchestration.deployment import SNS_NOTIFIER, Deployment, training_pool
from include.orchestration.schedule import read_schedule
from include.recommender.errors import ConfigError

ARN = "arn:aws:sns:eu-west-1:123456789012:recommender"


def test_an_empty_environment_runs_weekly_waits_for_nobody_and_tells_nobody():
    assert Deployment.from_environment({}) == Deployment(read_schedule({}), "default_pool", None, None, ())


@pytest.mark.parametrize(("text", "pool"), [("", "default_pool"), ("  ", "default_pool"), (" training ", "training")])
def test_the_training_pool_is_read_without_the_rest(text, pool):
    about = {"RECOMMENDER_TRAINING_POOL": text, "RECOMMENDER_SCHEDULE": "wrong"}
    assert training_pool(about) == pool


def test_waiting_and_approval_have_their_hours():
    found = Deployment.from_environment({"RECOMMENDER_WAIT_HOURS": "1.5", "RECOMMENDER_APPROVAL": "1"})
    assert (found.wait, found.approval) == (timedelta(minutes=90), timedelta(hours=72))
    found = Deployment.from_environment({"RECOMMENDER_APPROVAL_HOURS": "2"})
    assert (found.wait, found.approval) == (None, None)


def test_a_topic_is_told_in_its_own_region():
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
