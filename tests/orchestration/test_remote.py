"""Jobs of AWS Batch: the calls, the documents, the waiting, and what each end of a job means for its task."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from msgspec.structs import replace

from include.orchestration import job
from include.orchestration.deployment import Deployment
from include.orchestration.heavy import HEAVY, HeavyTask
from include.orchestration.remote import client as batch_client
from include.orchestration.remote.documents import JobFiles, JobOutcome, JobRequest, Made, Ticket
from include.orchestration.remote.ending import outcome_error, without_outcome
from include.orchestration.remote.jobs import Jobs
from include.orchestration.remote.operator import _keep, _left_running
from include.orchestration.remote.place import Place
from include.orchestration.remote.trigger import JobTrigger
from include.recommender.errors import ConfigError, DataError, GateRejected, NotFound, RecommenderError, TransientError
from include.recommender.parameters import RETRAIN
from include.recommender.runs.journal import Journal, RunFacts, TaskError, TaskRecord

from ..aws_batch import LocalBatch
from ..conftest import ROOT

SHOP, HOUR = Place("shop", "shop"), timedelta(hours=1)
NOBODY = "0" * 8 + "-0000-0000-0000-" + "0" * 12
DIGEST = "0" * 64


@pytest.fixture
def batch(s3_endpoint, tmp_path):
    found = LocalBatch(s3_endpoint, tmp_path)
    yield found
    found.close()


@pytest.fixture
def jobs(batch):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return Jobs(boto3.client("batch", endpoint_url=batch.url, region_name="us-east-1", **keys))


def waiting(batch, jobs):
    """A job for which there is no machine."""
    batch.faults = [batch.NO_MACHINE]
    job_id = jobs.submit(SHOP, "train_als", ["python", "-c", ""], {}, HOUR)
    batch.wait_for(lambda: batch.jobs[job_id]["status"] == "RUNNABLE")
    return job_id


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("shop", Place("shop", "shop")),
        ("spot/train", Place("spot", "train")),
        ("spot/train:12", Place("spot", "train:12")),
    ],
)
def test_the_setting_names_a_queue_and_a_job_definition(text, place):
    assert Place.parse(text) == place
    assert Deployment.from_environment({"RECOMMENDER_AWS_BATCH": f" {text} "}).place == place


@pytest.mark.parametrize("text", ["a/b/c", "a b", "shop/", "/shop", "shop:3", "shop/train:0", "x" * 129, "a\nb", "-a"])
def test_a_wrong_setting_is_named_with_the_other_wrong_settings(text):
    with pytest.raises(ConfigError) as caught:
        Deployment.from_environment({"RECOMMENDER_AWS_BATCH": text, "RECOMMENDER_APPROVAL": "yes"})
    names = sorted(problem.split("=")[0] for problem in caught.value.problems)
    assert names == ["RECOMMENDER_APPROVAL", "RECOMMENDER_AWS_BATCH"]


def test_without_the_setting_tasks_run_in_the_worker():
    assert Deployment.from_environment({}).place is None


def test_a_job_is_submitted_with_its_command_its_time_and_the_rule_for_lost_machines(batch, jobs):
    command = ["python", "-c", "import os; print(os.environ['RECOMMENDER_ROOT'])"]
    job_id = jobs.submit(SHOP, "train_als-r~1.x", command, {"RECOMMENDER_ROOT": "s3://b/p"}, HOUR)
    batch.wait_for(lambda: batch.jobs[job_id]["status"] == "SUCCEEDED")
    assert jobs.describe(job_id).ended
    assert batch.jobs[job_id]["output"] == "s3://b/p\n"
    (path, body), *_ = batch.calls
    assert (path, body["jobName"], body["jobQueue"], body["jobDefinition"]) == (
        *("/v1/submitjob", "train_als-r-1-x"),
        *("shop", "shop"),
    )
    assert body["timeout"] == {"attemptDurationSeconds": 3600}
    assert body["retryStrategy"]["attempts"] > 1


def test_a_machine_that_is_taken_away_is_replaced_and_a_fault_of_the_job_is_not(batch, jobs):
    batch.faults = [batch.SPOT]
    job_id = jobs.submit(SHOP, "a", ["python", "-uc", "print(1); input()"], {}, HOUR)
    batch.wait_for(lambda: batch.jobs[job_id]["status"] == "FAILED")  # the second attempt: input() finds no terminal
    assert jobs.describe(job_id).exit_code == 1
    before = len(batch.processes)
    again = jobs.submit(SHOP, "a", ["python", "-c", "raise SystemExit(3)"], {}, HOUR)
    batch.wait_for(lambda: batch.jobs[again]["status"] == "FAILED")
    assert (jobs.describe(again).exit_code, len(batch.processes)) == (3, before)


def test_calls_that_batch_refuses_say_what_to_correct(jobs):
    with pytest.raises(ConfigError, match=r"refused SubmitJob nowhere/x \(400 ClientException: JobQueue nowhere not"):
        jobs.submit(Place("nowhere", "x"), "a", ["python"], {}, HOUR)
    with pytest.raises(NotFound, match=f"knows no job {NOBODY}. Clear the task"):
        jobs.describe(NOBODY)


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "AccessDeniedException", ConfigError, "need the right batch:SubmitJob"),
        (429, "TooManyRequestsException", TransientError, "try again"),
        (500, "ServerException", TransientError, "try again"),
        (400, "ClientException", ConfigError, "RECOMMENDER_AWS_BATCH names a job queue"),
    ],
)
def test_an_answer_of_batch_is_passing_or_for_a_person(batch, jobs, monkeypatch, status, code, kind, words):
    monkeypatch.setattr(batch, "submit", lambda body: (status, {"code": code, "message": "no"}))
    with pytest.raises(kind, match=words):
        jobs.submit(SHOP, "a", ["python"], {}, HOUR)


def test_batch_that_cannot_be_reached_is_a_passing_fault(jobs, batch):
    batch.server.shutdown()
    batch.server.server_close()
    with pytest.raises(TransientError, match="AWS Batch"):
        jobs.describe(NOBODY)


def trigger_of(jobs, monkeypatch, job_id, after=HOUR):
    monkeypatch.setattr(batch_client, "jobs_of", lambda conn_id: jobs)
    deadline = (datetime.now(UTC) + after).isoformat()
    made = JobTrigger(job_id=job_id, request=DIGEST, aws_conn_id="shop", deadline=deadline, adopted=False, poll_s=0.01)
    path, arguments = made.serialize()
    assert path == "include.orchestration.remote.trigger.JobTrigger"
    return JobTrigger(**json.loads(json.dumps(arguments)))


def event_of(trigger):
    async def first():
        async for event in trigger.run():
            return event.payload

    return asyncio.run(first())


def test_the_trigger_waits_until_the_job_has_ended(batch, jobs, monkeypatch):
    job_id = jobs.submit(SHOP, "a", ["python", "-c", "raise SystemExit(3)"], {}, HOUR)
    event = event_of(trigger_of(jobs, monkeypatch, job_id))
    assert (event["job_id"], event["request"], event["status"], event["exit_code"]) == (job_id, DIGEST, "FAILED", 3)
    assert not event["late"]
    json.dumps(event)  # Airflow stores it


def test_a_job_whose_time_is_over_is_ended(batch, jobs, monkeypatch):
    job_id = waiting(batch, jobs)
    event = event_of(trigger_of(jobs, monkeypatch, job_id, after=-HOUR))
    assert (event["late"], event["status"]) == (True, "RUNNABLE")
    assert batch.jobs[job_id]["isTerminated"]
    assert isinstance(without_outcome(event, "shop"), ConfigError)
    assert "RUNNABLE: no machine" in str(without_outcome(event, "shop"))


def test_a_person_who_clears_the_task_ends_its_job(batch, jobs, monkeypatch):
    job_id = waiting(batch, jobs)
    asyncio.run(trigger_of(jobs, monkeypatch, job_id).on_kill())
    assert jobs.describe(job_id).stopped
    ended = event_of(trigger_of(jobs, monkeypatch, job_id))
    assert "Somebody ended it" in str(without_outcome(ended, "shop"))


def test_a_job_that_batch_has_forgotten_ends_the_waiting(jobs, monkeypatch):
    event = event_of(trigger_of(jobs, monkeypatch, NOBODY))
    assert f"knows no job {NOBODY}" in str(without_outcome(event, "shop"))


def test_a_passing_fault_of_batch_does_not_end_the_waiting(batch, jobs, monkeypatch):
    job_id = jobs.submit(SHOP, "a", ["python", "-c", ""], {}, HOUR)
    describe, failures = batch.describe, [(500, {"code": "ServerException", "message": "no"})] * 7
    monkeypatch.setattr(batch, "describe", lambda body: failures.pop() if failures else describe(body))
    assert event_of(trigger_of(jobs, monkeypatch, job_id))["status"] == "SUCCEEDED"
    assert not failures


def test_a_job_that_cannot_be_followed_is_ended(batch, jobs, monkeypatch):
    job_id = waiting(batch, jobs)
    monkeypatch.setattr(batch, "describe", lambda body: (403, {"code": "AccessDeniedException", "message": "no"}))
    event = event_of(trigger_of(jobs, monkeypatch, job_id))
    assert batch.jobs[job_id]["isTerminated"]
    assert "batch:DescribeJobs" in event["error"]
    assert "The job was ended." in str(without_outcome(event, "shop"))


def test_a_job_that_can_neither_be_followed_nor_ended_is_named(batch, jobs, monkeypatch):
    job_id, refused = waiting(batch, jobs), (403, {"code": "ExpiredTokenException", "message": "no"})
    monkeypatch.setattr(batch, "describe", lambda body: refused)
    monkeypatch.setattr(batch, "terminate", lambda body: refused)
    assert "may still run" in event_of(trigger_of(jobs, monkeypatch, job_id))["error"]


def test_the_waiting_ends_though_batch_cannot_be_reached(batch, jobs, monkeypatch):
    job_id = waiting(batch, jobs)
    monkeypatch.setattr(batch, "describe", lambda body: (500, {"code": "ServerException", "message": "no"}))
    event = event_of(trigger_of(jobs, monkeypatch, job_id, after=-HOUR))
    assert "its time is over, and it may still run" in event["error"]


def test_while_nobody_knows_whether_a_job_runs_no_other_is_submitted(batch, jobs, files, monkeypatch):
    files.write_ticket(Ticket(waiting(batch, jobs), DIGEST))
    monkeypatch.setattr(batch, "describe", lambda body: (403, {"code": "AccessDeniedException", "message": "no"}))
    with pytest.raises(ConfigError, match="batch:DescribeJobs"):
        _left_running(files, jobs, DIGEST)


def test_a_job_whose_ticket_cannot_be_stored_is_ended(batch, jobs, files, monkeypatch):
    job_id = waiting(batch, jobs)

    def refuse(self, ticket):
        raise TransientError("no store")

    monkeypatch.setattr(JobFiles, "write_ticket", refuse)
    with pytest.raises(TransientError, match="no store"):
        _keep(files, jobs, Ticket(job_id, DIGEST))
    assert jobs.describe(job_id).stopped


EVENT = {"job_id": "j", "request": DIGEST, "status": "FAILED", "late": False, "stopped": False, "adopted": False}


@pytest.mark.parametrize(
    ("about", "kind", "words"),
    [
        ({"reason": "Host EC2 (instance i-1) terminated."}, TransientError, "The machine was taken away"),
        ({"reason": "x", "container_reason": "OutOfMemoryError: killed"}, ConfigError, "needs more memory"),
        ({"reason": "x", "exit_code": 137}, ConfigError, "needs more memory"),
        ({"reason": "mine", "exit_code": 137, "stopped": True}, RecommenderError, "mine.*Somebody ended it"),
        ({"reason": "mine", "exit_code": 137, "stopped": True, "adopted": True}, TransientError, "of an earlier try"),
        ({"reason": "Job attempt duration exceeded timeout", "exit_code": 137}, ConfigError, "longer than the task"),
        ({"reason": "x", "exit_code": 78}, ConfigError, "its role lacks a right on the bucket"),
        ({"container_reason": "CannotPullContainerError: no"}, ConfigError, "Push the image"),
        ({"reason": "mine", "stopped": True}, RecommenderError, "mine.*Somebody ended it"),
        (
            {"reason": "x", "log_stream": "s/1", "log_group": "/g"},
            TransientError,
            "--log-group-name /g --log-stream-name s/1",
        ),
        ({}, TransientError, "no reason given"),
    ],
)
def test_a_job_that_could_not_say_what_came_of_it_is_known_by_its_end(about, kind, words):
    found = without_outcome({**EVENT, **about}, "shop/shop")
    assert type(found) is kind
    with pytest.raises(kind, match=words):
        raise found


@pytest.mark.parametrize("kind", [DataError, ConfigError, TransientError, GateRejected, NotFound])
def test_an_error_of_a_job_is_raised_as_what_it_was(kind):
    found = outcome_error(TaskError(kind.__name__, "why"))
    assert (type(found), str(found)) == (kind, "why")


def test_an_error_that_the_library_does_not_know_is_not_retried():
    found = outcome_error(TaskError("TypeError", "why"))
    assert (type(found), str(found)) == (RecommenderError, "TypeError: why")


FACTS = RunFacts(
    dag_id="recommender_retrain",
    run_id="r1",
    run_type="manual",
    run_date="2018-09-01T00:00:00+00:00",
    as_of="2018-09-01T00:00:00+00:00",
    snapshot=None,
    channel="production",
    params={name: each.default for name, each in RETRAIN.items()},
)


@pytest.fixture
def files(workspace):
    return JobFiles.of(Journal(workspace.root, "r1"), "train_als")


def called(files, **changes):
    request = replace(JobRequest(task=files.task, facts=FACTS, outputs={}, made=Made.here()), **changes)
    key, digest = files.write_request(request)
    return job.Called.read([key, digest, "2"])


def test_a_job_runs_the_body_and_says_what_came_of_it(workspace, files, monkeypatch):
    task = HeavyTask(lambda run: run.note(seen=run.pull("parse_reviews")) or {"uri": "s3://x"}, ())
    monkeypatch.setattr(job, "HEAVY", {"train_als": task})
    outcome = job._run(called(files, outputs={"parse_reviews": {"uri": "s3://y"}}), "j-1", workspace)
    assert outcome.result == {"uri": "s3://x"}
    record = Journal(workspace.root, "r1").read("train_als")
    assert outcome.record == record
    assert (record.state, record.try_number, record.facts) == ("success", 2, {"job": "j-1", "seen": {"uri": "s3://y"}})
    files.write_outcome("j-1", outcome)
    assert files.outcome("j-1", outcome.request) == outcome
    assert files.outcome("j-2", outcome.request) is None
    with pytest.raises(DataError, match="it is of another request"):
        files.outcome("j-1", DIGEST)


@pytest.mark.parametrize(
    "error", [DataError("no such thing"), ConfigError(["a", "b"]), ZeroDivisionError("x"), MemoryError()]
)
def test_what_a_body_raises_is_in_the_outcome_and_in_the_journal(workspace, files, monkeypatch, error):
    def body(run):
        raise error

    monkeypatch.setattr(job, "HEAVY", {"train_als": HeavyTask(body, ())})
    outcome = job._run(called(files), "j-1", workspace)
    assert (outcome.record.state, outcome.record.error.kind) == ("failed", type(error).__name__)
    assert Journal(workspace.root, "r1").read("train_als") == outcome.record


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"made": Made("0" * 12, {})}, "ConfigError", "other code or libraries"),
        ({"task": "rm"}, "DataError", "'rm' is no task that runs as a job"),
    ],
)
def test_a_job_of_another_release_or_of_no_task_runs_nothing(workspace, files, changes, kind, words):
    outcome = job._run(called(files, **changes), "j-1", workspace)
    assert (outcome.result, outcome.record.error.kind) == (None, kind)
    assert words in outcome.record.error.message


def test_a_request_that_was_changed_after_the_task_wrote_it_runs_nothing(workspace, files):
    given = called(files)
    raw = workspace.root.read(given.key)
    workspace.root.write(given.key, raw.replace(b'"production"', b'"elsewhere"'))
    outcome = job._run(given, "j-1", workspace)
    assert outcome.record.error.kind == "DataError"
    assert "somebody changed the request" in outcome.record.error.message


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["reports/r/jobs/train_als/request-0123456789abcdef.json", DIGEST],
        ["reports/../jobs/x/request-0123456789abcdef.json/../..", DIGEST, "1"],
        ["channels/production.json", DIGEST, "1"],
        ["reports/r/jobs/train_als/request-0123456789abcdef.json", DIGEST[:-1], "1"],
        ["reports/r/jobs/train_als/request-0123456789abcdef.json", DIGEST, "0"],
    ],
)
def test_the_command_line_of_a_job_is_checked(arguments):
    with pytest.raises(ConfigError, match="usage"):
        job.Called.read(arguments)


def test_a_job_needs_no_airflow_and_says_what_it_lacks():
    code = "import sys, include.orchestration.job; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    arguments = ["reports/r/jobs/train_als/request-0123456789abcdef.json", DIGEST, "1"]
    done = subprocess.run(
        [sys.executable, "-m", "include.orchestration.job", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 78
    assert "AWS_BATCH_JOB_ID is ''" in done.stdout


def test_a_job_that_an_earlier_try_left_running_is_waited_for(batch, jobs, files):
    assert _left_running(files, jobs, DIGEST) is None
    job_id = waiting(batch, jobs)
    files.write_ticket(Ticket(job_id, DIGEST))
    assert _left_running(files, jobs, DIGEST) == job_id
    assert _left_running(files, jobs, "1" * 64) is None
    jobs.terminate(job_id, "no more")
    assert _left_running(files, jobs, DIGEST) is None
    files.write_ticket(Ticket(NOBODY, DIGEST))
    assert _left_running(files, jobs, DIGEST) is None
    files.objects.write("reports/r1/jobs/train_als/ticket.json", b"{")
    assert _left_running(files, jobs, DIGEST) is None


def test_the_same_request_has_the_same_key(files):
    assert called(files) == called(files)
    assert called(files).key != called(files, outputs={"x": {}}).key


def test_the_record_of_a_job_keeps_its_time():
    from include.orchestration.recording import _timed

    record = TaskRecord(task="t", state="success", try_number=1, started_at="x", seconds=7.0, peak_bytes=9)
    assert _timed(record, 0.0) == record


def test_every_heavy_task_is_one_of_the_dags():
    text = "".join((ROOT / "dags" / f"recommender_{name}.py").read_text() for name in ("retrain", "batch"))
    assert all(f"\ndef {name}()" in text for name in HEAVY)
    assert text.count("@heavy(") + text.count("@heavy_task(") == len(HEAVY)


def test_an_outcome_without_result_and_error_is_damaged(files):
    record = TaskRecord(task="train_als", state="running", try_number=1, started_at="x")
    files.write_outcome("j-1", JobOutcome(request=DIGEST, record=record))
    with pytest.raises(DataError, match="neither a result nor an error"):
        files.outcome("j-1", DIGEST)


@pytest.mark.parametrize(
    ("extra", "works"),
    [
        ({}, True),
        ({"service_config": {"s3": {"endpoint_url": "http://127.0.0.1:9"}}}, True),
        ({"endpoint_url": "http://127.0.0.1:9"}, False),
        (
            {"endpoint_url": "http://127.0.0.1:9", "service_config": {"batch": {"endpoint_url": "http://127.0.0.1:8"}}},
            True,
        ),
    ],
)
def test_calls_to_batch_do_not_go_to_the_store(monkeypatch, extra, works):
    about = {"conn_type": "aws", "login": "test", "password": "tests", "extra": {"region_name": "us-east-1", **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(about))
    if works:
        assert batch_client.jobs_of("shop").client.meta.endpoint_url != "http://127.0.0.1:9"
    else:
        with pytest.raises(ConfigError, match=r"service_config\.s3\.endpoint_url"):
            batch_client.jobs_of("shop")
