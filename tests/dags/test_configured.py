"""The DAG under each setting of its deployment: schedule, waiting, approval, alerts."""

import json
from datetime import timedelta

import boto3
import pytest

from .. import worlds
from ..conftest import ROOT
from .harness import NOON, load_dag, put_snapshot, report_of, run_dag

REVIEWS = worlds.reviews()
# Each setting makes another version of the DAG in the one database of the session, which Airflow's callback warns of.
pytestmark = [pytest.mark.filterwarnings("ignore:Multiple rows returned:sqlalchemy.exc.SAWarning"), pytest.mark.slow]


@pytest.mark.parametrize(
    ("text", "summary"), [("", "0 0 * * 0"), ("30 6 * * 1", "30 6 * * 1"), ("none", None), ("asset", "Asset")]
)
def test_the_schedule_comes_from_the_environment(airflow_database, monkeypatch, text, summary):
    monkeypatch.setenv("RECOMMENDER_SCHEDULE", text)
    # What a shop sets that comes from Airflow 2: it makes intervals of a bare cron string.
    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", "True")
    dag = load_dag()
    assert dag.catchup is False
    if text == "asset":
        assert [asset.name for asset in dag.schedule] == ["recommender_snapshot"]
    else:
        assert getattr(dag.timetable, "expression", None) == summary
    if summary and text != "asset":
        assert type(dag.timetable).__name__ == "CronTriggerTimetable"


def test_a_wrong_setting_is_the_import_error_of_its_dag_and_of_no_other(airflow_database, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("RECOMMENDER_SCHEDULE", "on fridays")
    bag = DagBag(dag_folder=str(ROOT / "dags"))
    (error,) = bag.import_errors.values()
    assert "RECOMMENDER_SCHEDULE='on fridays': 2 fields, and cron has five" in error
    assert sorted(bag.dags) == ["recommender_batch", "recommender_tune"]


def test_waiting_and_approval_stand_where_they_belong(airflow_database, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_WAIT_HOURS", "6")
    monkeypatch.setenv("RECOMMENDER_APPROVAL", "1")
    dag = load_dag()
    wait, approve = dag.get_task("wait_for_snapshot"), dag.get_task("approve")
    assert (wait.upstream_task_ids, wait.downstream_task_ids) == (set(), {"resolve_snapshot"})
    assert wait.patience == timedelta(hours=6)
    assert approve.upstream_task_ids == {"recall_gate"}
    assert approve.downstream_task_ids == {"refit"}
    assert approve.response_timeout == timedelta(hours=72)
    assert approve.fail_on_reject
    assert len(wait.doc_md) > 40
    assert len(approve.doc_md) > 40


def test_a_run_whose_snapshot_lies_there_does_not_wait(deployment, s3, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_WAIT_HOURS", "6")
    put_snapshot(s3, "2018-09-01", worlds.packed(REVIEWS[-300:]))
    _, states = run_dag()
    assert (states["wait_for_snapshot"], states["recall_gate"]) == ("success", "failed")


@pytest.mark.parametrize(("conf", "waits_for"), [({}, "2018-09-01"), ({"snapshot": "2018-08-28"}, "2018-08-28")])
def test_a_run_gives_up_on_a_snapshot_that_does_not_land(deployment, s3, monkeypatch, conf, waits_for):
    monkeypatch.setenv("RECOMMENDER_WAIT_HOURS", "0.0001")
    put_snapshot(s3, "2018-08-27", worlds.packed(REVIEWS))
    run, states = run_dag(**conf)
    assert (run.state, states["wait_for_snapshot"], states["resolve_snapshot"]) == (
        "failed",
        "failed",
        "upstream_failed",
    )
    error = report_of(s3, run)["error"]
    assert error["task"] == "wait_for_snapshot"
    assert f"/shop/snapshots/{waits_for}/: no review file" in error["message"]


@pytest.fixture
def topic(s3_endpoint, deployment, monkeypatch):
    """A topic that the DAG publishes to; returns what reads the next message from a queue that hears it."""
    about = {
        "endpoint_url": s3_endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    sns, sqs = boto3.client("sns", **about), boto3.client("sqs", **about)
    arn, queue = sns.create_topic(Name="recommender")["TopicArn"], sqs.create_queue(QueueName="ops")["QueueUrl"]
    heard = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=heard)
    monkeypatch.setenv("RECOMMENDER_SNS_TOPIC_ARN", arn)

    def messages():
        rows = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(row["Body"]) for row in rows]

    return messages


def run_and_notify(logical_date=NOON):
    """Run, then call back as the DAG processor does: `dag.test` calls back with a DAG that cannot render templates."""
    run, _ = run_dag(logical_date)
    assert run.state == "failed"
    dag = load_dag()
    dag.on_failure_callback({"dag": dag, "run_id": run.run_id, "reason": "task_failure"})
    return run


def test_nobody_is_reported_unless_somebody_is_named(airflow_database):
    assert load_dag().on_failure_callback is None


def test_a_hold_is_reported_with_its_table(topic, s3):
    put_snapshot(s3, "2018-08-27", worlds.packed(REVIEWS[-300:]))
    run = run_and_notify()
    (message,) = topic()
    assert message["Subject"].startswith("recommender_retrain: HOLD (")
    assert report_of(s3, run)["table"] in message["Message"]
    assert "/report.html" in message["Message"]


def test_an_error_is_reported_with_its_message(topic, s3):
    put_snapshot(s3, "2018-08-20", worlds.packed(REVIEWS)[:-2000])
    run_and_notify(NOON.replace(month=8, day=21))
    (message,) = topic()
    assert "ERROR" in message["Subject"]
    assert "reviews.jsonl.gz: truncated" in message["Message"]


def test_a_run_without_a_report_is_reported_too(topic):
    dag = load_dag()
    dag.on_failure_callback({"dag": dag, "run_id": "manual__never began", "reason": "task_failure"})
    (message,) = topic()
    assert "FAILED" in message["Subject"]
    assert "See the log of the failed task; there is no report" in message["Message"]


def test_a_notifier_that_fails_keeps_no_other_from_telling(topic, s3, monkeypatch):
    from include.orchestration.deployment import Deployment

    monkeypatch.setenv("RECOMMENDER_NOTIFIERS", '[{"class": "no.such.Notifier"}]')
    first, last = Deployment.from_environment().notifiers
    assert last.path == "no.such.Notifier"
    about = {"class": first.path, "kwargs": dict(first.kwargs)}
    monkeypatch.delenv("RECOMMENDER_SNS_TOPIC_ARN")
    monkeypatch.setenv("RECOMMENDER_NOTIFIERS", json.dumps([{"class": "no.such.Notifier"}, about]))
    put_snapshot(s3, "2018-08-27", worlds.packed(REVIEWS[-300:]))
    run_and_notify()
    assert len(topic()) == 1
