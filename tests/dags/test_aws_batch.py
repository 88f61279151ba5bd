"""The heavy tasks as jobs of AWS Batch: the DAG through Airflow, each job a process with nothing of Airflow's."""

import json

import pytest

from include.orchestration.heavy import HEAVY
from include.orchestration.remote import operator

from .. import worlds
from ..aws_batch import LocalBatch
from ..conftest import BUCKET
from .harness import keys, put_snapshot, read_json, report_of, run_dag
from .test_batch import run_batch
from .test_runs import REVIEWS, SNAPSHOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Multiple rows returned:sqlalchemy.exc.SAWarning")]
RETRAIN_JOBS = set(HEAVY) - {"recommend_users", "similar_items"}


@pytest.fixture
def batch(deployment, s3_endpoint, tmp_path, monkeypatch):
    (tmp_path / "machine").mkdir()
    found = LocalBatch(s3_endpoint, tmp_path / "machine")
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test",
        "extra": {
            "region_name": "us-east-1",
            "service_config": {"s3": {"endpoint_url": s3_endpoint}, "batch": {"endpoint_url": found.url}},
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("RECOMMENDER_AWS_BATCH", "shop")
    monkeypatch.setattr(operator, "POLL_S", 0.05)
    yield found
    found.close()


def journal(s3, run, task):
    from include.recommender.runs.journal import run_name

    return read_json(s3, f"reports/{run_name(run.run_id)}/tasks/{task}.json")


def test_a_run_whose_heavy_tasks_are_jobs_makes_the_same_artifacts(deployment, s3, workspace, batch, monkeypatch):
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS))
    batch.faults = [batch.SPOT]
    run, states = run_dag()
    assert run.state == "success", states
    assert {body["jobName"].split("-")[0] for body in submitted(batch)} == RETRAIN_JOBS
    assert {job["status"] for job in batch.jobs.values()} == {"SUCCEEDED"}
    record = journal(s3, run, "train_als")
    assert (record["state"], set(record["artifacts"])) == ("success", {"train_als"})
    assert record["facts"]["job"] in batch.jobs
    assert record["seconds"] > 0
    assert report_of(s3, run)["verdict"]["decision"] == "PROMOTE"

    # A run in the worker reuses everything; but the version is judged again, against itself as the champion.
    promoted, made = workspace.registry.channels.read("production").model_id, written(s3)
    monkeypatch.delenv("RECOMMENDER_AWS_BATCH")
    run, states = run_dag(force=True)
    assert (run.state, states["promote_model"]) == ("success", "skipped")
    again = report_of(s3, run)
    reused = {row["task"]: row["reused"] for row in again["tasks"] if row["artifacts"]}
    assert reused.pop("evaluate") is False
    assert set(reused.values()) == {True}
    assert again["model"]["model_id"] == promoted
    assert {key: tag for key, tag in written(s3).items() if key in made} == made

    monkeypatch.setenv("RECOMMENDER_AWS_BATCH", "shop")
    batch.calls.clear()
    run, states = run_batch()
    assert (run.state, set(states.values())) == ("success", {"success"})
    assert [body["jobName"].split("-")[0] for body in submitted(batch)] == ["recommend_users", "similar_items"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [(LocalBatch.OUT_OF_MEMORY, "needs more memory than its definition"), (None, "truncated")],
)
def test_a_job_that_fails_fails_its_task_with_its_reason(deployment, s3, batch, fault, words):
    packed = worlds.packed(REVIEWS)
    put_snapshot(s3, SNAPSHOT, packed if fault else packed[:-100])
    batch.faults = [fault]
    run, states = run_dag()
    assert (run.state, states["parse_reviews"], states["train_als"]) == ("failed", "failed", "upstream_failed")
    assert len(submitted(batch)) == 1
    record = journal(s3, run, "parse_reviews")
    assert record["state"] == "failed"
    assert words in record["error"]["message"]


def submitted(batch):
    return [body for path, body in batch.calls if path == "/v1/submitjob"]


def written(s3):
    """Key -> ETag of every file of artifacts."""
    return {key: s3.head_object(Bucket=BUCKET, Key=f"shop/{key}")["ETag"] for key in keys(s3, "artifacts/")}
