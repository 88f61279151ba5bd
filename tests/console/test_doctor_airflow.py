"""Planted faults of Airflow, at a server that gives the answers that were recorded from Airflow 3.3.2."""

import copy
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from include.recommender.console.doctor import airflow_api, airflow_connection
from include.recommender.console.doctor.examined import Examined, Role
from include.recommender.console.doctor.findings import examine

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)  # a Friday
TRACE = """Traceback (most recent call last):
  File "/opt/recommender/dags/recommender_retrain.py", line 60, in <module>
    DEPLOYMENT = Deployment.from_environment()
include.recommender.errors.ConfigError: RECOMMENDER_SCHEDULE='on fridays': 2 fields, and cron has five
RECOMMENDER_WAIT_HOURS='soon': expected a number from 0 to 744
"""
DAG, RUNS = "/api/v2/dags/recommender_retrain", "/api/v2/dags/recommender_retrain/dagRuns"
HEALTH, ERRORS, POOL = "/api/v2/monitor/health", "/api/v2/importErrors", "/api/v2/pools/recommender_training"
RECORDED = {
    HEALTH: {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-11-27T05:03:47.237236+00:00"},
        "triggerer": {"status": "healthy", "latest_triggerer_heartbeat": "2026-11-27T05:03:50.093096+00:00"},
        "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": "2026-11-27T05:03:49.192408+00:00"},
    },
    "/api/v2/dags": {"dags": [], "total_entries": 0},
    ERRORS: {"import_errors": [], "total_entries": 0},
    DAG: {
        "dag_id": "recommender_retrain",
        "is_paused": False,
        "timetable_summary": "0 0 * * 0",
        "next_dagrun_run_after": "2026-11-29T00:00:00Z",
        "owners": ["recommender"],
    },
    RUNS: {
        "dag_runs": [{"dag_run_id": "scheduled__2026-11-22", "run_after": "2026-11-22T00:00:00Z", "state": "success"}],
        "total_entries": 1,
    },
    POOL: {"name": "recommender_training", "slots": 1, "open_slots": 1, "team_name": None},
}


class Handler(BaseHTTPRequestHandler):
    answers: dict

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path != HEALTH and self.headers["Authorization"] != "Bearer good":
            self._send(401, {"detail": "Not authenticated"})
        elif path in self.answers:
            self._send(200, self.answers[path])
        else:
            self._send(404, {"detail": "was not found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = self.path == "/auth/token" and body == {"username": "admin", "password": "right"}
        self._send(201, {"access_token": "good"}) if good else self._send(401, {"detail": "Invalid credentials"})

    def _send(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Quiet."""


@contextmanager
def serving(answers, base=Handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (base,), {"answers": answers}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def airflow():
    """Ask a server for which some answers differ; return the results by name."""

    def one(changes=None, environment=None):
        answers = copy.deepcopy(RECORDED)
        for path, fields in (changes or {}).items():
            answers[path] = {**answers[path], **fields} if isinstance(fields, dict) else fields
        with serving({path: body for path, body in answers.items() if body is not None}) as address:
            return look(address, environment)

    return one


def look(address, environment=None):
    given = {"RECOMMENDER_TRAINING_POOL": "recommender_training", "AIRFLOW_ADMIN_PASSWORD": "right"}
    about = Examined(
        environment={**given, **(environment or {})},
        endpoint_url=None,
        role=Role.DAG,
        channel="production",
        airflow=address,
        api="",
        now=NOW,
    )
    return {
        row.name: {"state": row.state, "seen": row.seen, "expected": row.expected, "fix": row.fix}
        for row in examine(airflow_api.CHECKS, about)
    }


def test_an_airflow_in_order(airflow):
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": {"region_name": "us-east-1"}}
    rows = airflow(environment={"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)})
    assert {row["state"] for row in rows.values()} == {"ok"}
    assert rows["DAG"]["seen"] == "recommender_retrain is not paused, next run 2026-11-29 00:00"
    assert "with the key that doctor used" in rows["connection"]["seen"]


def test_a_paused_dag_with_a_schedule(airflow, found):
    rows = airflow({DAG: {"is_paused": True}})
    found(rows["DAG"], "FAILED", "recommender_retrain is paused", "0 0 * * 0 starts nothing", "airflow dags unpause")
    rows = airflow({DAG: {"is_paused": True, "timetable_summary": None}}, {"RECOMMENDER_SCHEDULE": "none"})
    found(rows["DAG"], "warning", "is paused", "airflow dags unpause recommender_retrain")


def test_a_dag_file_with_a_wrong_setting(airflow, found):
    broken = {"filename": "recommender_retrain.py", "stack_trace": TRACE, "import_error_id": 1}
    rows = airflow({ERRORS: {"import_errors": [broken]}, DAG: None})
    texts = ("recommender_retrain.py", "'on fridays'", "RECOMMENDER_WAIT_HOURS", "docker compose up --detach")
    found(rows["import errors"], "FAILED", *texts)
    assert "Traceback" not in rows["import errors"]["seen"]
    found(rows["DAG"], "FAILED", "has no DAG recommender_retrain", "AIRFLOW__CORE__DAGS_FOLDER")


def test_a_broken_file_of_somebody_else_is_no_failure(airflow):
    other = {"filename": "other.py", "stack_trace": "ValueError: x", "import_error_id": 1}
    row = airflow({ERRORS: {"import_errors": [other]}})["import errors"]
    assert (row["state"], "1 of other DAGs" in row["seen"]) == ("ok", True)


@pytest.mark.parametrize(("pool", "text"), [(None, "does not exist"), ({"slots": 0}, "has no slots")])
def test_a_pool_that_starts_nothing(airflow, found, pool, text):
    row = airflow({POOL: pool})["pool"]
    found(row, "FAILED", text, "RECOMMENDER_TRAINING_POOL", "airflow pools set recommender_training 1")


@pytest.mark.parametrize(
    ("part", "service", "command"),
    [
        ("scheduler", "scheduler", "docker compose logs scheduler"),
        ("dag_processor", "dag-processor", "docker compose logs dag-processor"),
        ("triggerer", "triggerer", "docker compose logs triggerer"),
    ],
)
@pytest.mark.parametrize("status", ["unhealthy", None])
def test_a_part_that_is_dead(airflow, found, part, service, command, status):
    row = airflow({HEALTH: {part: {"status": status}}})[service]
    found(row, "FAILED", service, status or "never seen", "healthy", command)


def test_a_database_that_is_down(airflow, found):
    rows = airflow({HEALTH: {"metadatabase": {"status": "unhealthy"}}})
    found(rows["API server"], "FAILED", "metadata database is unhealthy", "SQL_ALCHEMY_CONN")
    assert rows["pool"]["state"] == "not checked"


def test_a_success_that_is_older_than_the_schedule_expects(airflow, found):
    def last(day):
        return airflow({RUNS: {"dag_runs": [{"dag_run_id": f"of {day}", "run_after": f"{day}T00:00:00Z"}]}})

    assert last("2026-11-15")["last success"]["state"] == "ok"
    found(last("2026-11-14")["last success"], "FAILED", "of 2026-11-14", "one since 2026-11-15", "/runs")
    found(airflow({RUNS: {"dag_runs": []}})["last success"], "warning", "has succeeded yet", "airflow dags trigger")


def test_a_schedule_that_the_dag_processor_does_not_have(airflow, found):
    row = airflow(environment={"RECOMMENDER_SCHEDULE": "0 6 * * 1"})["schedule"]
    found(row, "warning", "0 0 * * 0", "0 6 * * 1", "restart the dag-processor")
    row = airflow(environment={"RECOMMENDER_SCHEDULE": "on fridays"})["schedule"]
    found(row, "FAILED", "RECOMMENDER_SCHEDULE='on fridays'", "cron has five")


@pytest.mark.parametrize(
    ("here", "there", "state"),
    [
        ("none", "0 0 * * 0", "warning"),
        ("asset", "0 0 * * 0", "warning"),
        ("asset", None, "warning"),
        ("0 6 * * 1", "None", "warning"),
        ("none", None, "ok"),
        ("none", "None", "ok"),
        ("asset", "Asset", "ok"),
    ],
)
def test_schedules_without_a_clock_are_compared_too(airflow, here, there, state):
    changes = {DAG: {"timetable_summary": there, "next_dagrun_run_after": None}}
    assert airflow(changes, {"RECOMMENDER_SCHEDULE": here})["schedule"]["state"] == state


@pytest.mark.parametrize(
    ("zone", "following", "state"),
    [
        ("Asia/Tokyo", "2026-11-29T00:00:00Z", "warning"),
        ("Asia/Tokyo", "2026-11-28T15:00:00Z", "ok"),
        ("UTC", "2026-11-28T15:00:00Z", "warning"),
        ("UTC", None, "ok"),
    ],
)
def test_the_time_zone_is_that_of_the_next_run(airflow, found, zone, following, state):
    environment = {"RECOMMENDER_SCHEDULE_TIMEZONE": zone}
    row = airflow({DAG: {"next_dagrun_run_after": following}}, environment)["schedule"]
    assert row["state"] == state
    if state == "warning":
        found(row, state, f"{following[:10]} {following[11:16]} UTC", zone, "RECOMMENDER_SCHEDULE_TIMEZONE")
    if following is None:
        assert "time zone was not compared" in row["seen"]


def test_without_a_login_the_public_part_is_checked(airflow, found):
    rows = airflow(environment={"AIRFLOW_ADMIN_PASSWORD": ""})
    assert rows["scheduler"]["state"] == "ok"
    found(rows["Airflow login"], "not checked", "AIRFLOW_ADMIN_PASSWORD", "docker compose exec")
    assert rows["pool"]["seen"] == "it needs: Airflow login"


@pytest.mark.parametrize("wrong", [{"AIRFLOW_ADMIN_PASSWORD": "wrong-one"}, {"AIRFLOW_TOKEN": "bad-one"}])
def test_a_wrong_login(airflow, found, wrong):
    row = found(airflow(environment=wrong)["Airflow login"], "FAILED", "401", "AIRFLOW_ADMIN_PASSWORD")
    assert not set(wrong.values()) & set(str(row).split())


def test_a_login_from_a_token_or_the_file_of_the_simple_auth_manager(airflow, tmp_path):
    path = tmp_path / "login.json"
    path.write_text(json.dumps({"admin": "right"}))
    name = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
    for given in ({name: str(path), "AIRFLOW_ADMIN_PASSWORD": ""}, {"AIRFLOW_TOKEN": "good"}):
        assert airflow(environment=given)["pool"]["state"] == "ok"


@pytest.mark.parametrize(
    ("text", "state", "about"),
    [
        ('{"conn_type": "aws", "login": "AKOTHER1234", "password": "x"}', "warning", "another access key (...1234)"),
        ('{"conn_type": "aws"}', "warning", "has no login"),
        ('{"conn_type": "aws", "login": "test"}', "FAILED", "password (the secret key) is not"),
        ('{"conn_type": "aws", "login": "test", "password": "x", "extra": "{nope"}', "FAILED", "extra is not JSON"),
        ('{"conn_type": "aws", "login": "test", "password": "x", "extra": "[1]"}', "FAILED", "not a JSON object"),
        ('{"conn_type": "aws", "login": "test", "password": "x", "extra": {"endpoint_url": "x"}}', "FAILED", "address"),
        ('{"conn_type": "aws", "login": "test", "password": "x", "extra": {"role_arn": "r"}}', "warning", "assumes"),
        ('{"conn_type": "http"}', "FAILED", "its type is http"),
        ("{", "FAILED", "neither JSON nor a URI"),
        ("aws://", "warning", "has no login"),
        ("aws://test:x%2Fy@/?region_name=eu-west-1", "ok", "with the key"),
        ("aws://test@/?region_name=eu-west-1", "FAILED", "password (the secret key) is not"),
        ("aws://AKOTHER1234:x@/", "warning", "another access key (...1234)"),
        ("aws://test:x@/?__extra__=%7Bnope", "FAILED", "extra is not JSON"),
    ],
)
def test_the_connection_of_the_environment(airflow, text, state, about):
    row = airflow(environment={"AIRFLOW_CONN_AWS_DEFAULT": text})["connection"]
    assert (row["state"], about in row["seen"]) == (state, True)


def test_a_connection_that_is_missing_and_one_without_keys(airflow, found, monkeypatch):
    found(airflow()["connection"], "warning", "no connection aws_default", "airflow connections add aws_default")
    path = "/api/v2/connections/shop"
    body = json.dumps({"connection_id": "shop", "conn_type": "aws", "login": None, "extra": "{}"}).encode()
    row = airflow({path: body}, {"RECOMMENDER_AWS_CONN_ID": "shop"})["connection"]
    found(row, "warning", "shop has no login", "access key ...test", "AWS_ACCESS_KEY_ID")
    monkeypatch.setattr(airflow_connection, "key_source", lambda: "iam-role")
    row = airflow({path: body}, {"RECOMMENDER_AWS_CONN_ID": "shop"})["connection"]
    assert (row["state"], "with the role of the machine" in row["seen"]) == ("ok", True)


def test_something_else_that_answers_and_nothing_at_all(airflow, found, free_port):
    row = airflow({HEALTH: b"<html>"})["API server"]
    found(row, "FAILED", "another server listens there", "make up")
    rows = look(f"http://127.0.0.1:{free_port}")
    found(rows["API server"], "FAILED", f"127.0.0.1:{free_port}", "docker compose up --detach api-server")
    found(look("localhost:8080")["API server"], "FAILED", "expected an address such as http://")


def test_the_address_is_the_one_of_the_tasks_unless_given():
    tasks, people = "http://api-server:8080/execution/", "http://localhost:8080"
    environment = {airflow_api.EXECUTION: tasks, airflow_api.BASE: people}
    assert airflow_api.address_of(None, environment) == "http://api-server:8080"
    assert airflow_api.address_of("http://a", environment) == "http://a"
    assert airflow_api.address_of(None, {airflow_api.BASE: people}) == people
    assert airflow_api.address_of(None, {}) == ""


def test_the_clock_decides_what_is_late(airflow):
    """The second tick before now has to have succeeded: the newest may still be running."""
    late = {RUNS: {"dag_runs": [{"dag_run_id": "x", "run_after": (NOW - timedelta(days=8)).isoformat()}]}}
    assert airflow(late)["last success"]["state"] == "ok"
