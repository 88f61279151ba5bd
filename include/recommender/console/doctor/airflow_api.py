"""Airflow, asked over its REST API: its parts, the DAG and its schedule, pool, connection. No Airflow is imported."""

from __future__ import annotations

import json
import re
from datetime import UTC
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec

from ...errors import ConfigError, NotFound, RecommenderError
from ...runs.cron import PRESETS, UNTIMED, is_tick, last_ticks, read_cron
from ...runs.dag_names import RETRAIN_DAG
from ...storage.redaction import printable
from .airflow_answers import AirflowPart, Connection, Dag, DagRuns, Health, ImportErrors, Pool, Token
from .airflow_connection import judge, read_variable
from .asking import ServerAddress
from .examined import Examined
from .findings import DoctorCheck, DoctorFinding, failed, fine, unchecked, warning

USER, PASSWORD, TOKEN = "AIRFLOW_USER", "AIRFLOW_ADMIN_PASSWORD", "AIRFLOW_TOKEN"
PASSWORDS_FILE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
DEFAULT_USER = "admin"
EXECUTION = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
BASE = "AIRFLOW__API__BASE_URL"
GIVE = "give its address: doctor --airflow http://localhost:8080"
LOGIN = (
    f"give {PASSWORD} (and {USER}, if it is not {DEFAULT_USER}) or {TOKEN} as a variable: "
    f"docker compose exec -e {PASSWORD} scheduler python -m include.recommender.console doctor"
)
PARTS = {"scheduler": "run starts", "dag_processor": "change of a DAG is seen", "triggerer": "waiting task goes on"}
SCHEDULE_FIX = "Correct RECOMMENDER_SCHEDULE (docs/operations.md, Schedule) on all parts, and start them anew."
NO_CLOCK, BY_ASSET = "None", "Asset"  # as Airflow's timetables name themselves
SAME_EVERYWHERE = "Give all parts of Airflow the same variables, and restart the dag-processor."
OURS = re.compile(r"recommender_\w+\.py$")


def address_of(given: str | None, environment: dict[str, str]) -> str:
    """The API server's address: the given one, else the one that the tasks use, else the one for people."""
    execution = environment.get(EXECUTION, "").rstrip("/").removesuffix("/execution")
    return given or execution or environment.get(BASE, "")


def api_server(about: Examined) -> DoctorFinding:
    """Whether it answers, and reaches its database."""
    if not about.airflow:
        return unchecked("no address of Airflow", GIVE)
    try:
        found = _health(about)
    except RecommenderError as error:
        fix = f"Start it: docker compose up --detach api-server (laptop: make up). Or {GIVE}"
        return failed(str(error), "Airflow's API server, that answers within 5 s", fix)
    if found.metadatabase.status != "healthy":
        return failed(
            f"{about.airflow}: its metadata database is {found.metadatabase.status}",
            "healthy",
            "Start PostgreSQL, or correct AIRFLOW__DATABASE__SQL_ALCHEMY_CONN (docker compose up --detach postgres).",
        )
    return fine(f"{about.airflow} answers, its database too")


def _health(about: Examined) -> Health:
    return ServerAddress(about.airflow).get("/api/v2/monitor/health", Health)


def part(name: str, about: Examined) -> DoctorFinding:
    """Whether a part of Airflow lives."""
    found: AirflowPart | None = getattr(_health(about), name)
    service = name.replace("_", "-")
    if found is None or found.status != "healthy":
        state = found.status if found and found.status else "never seen"
        return failed(
            f"{about.airflow}: the {service} is {state}, last heartbeat {found.heartbeat if found else 'never'}",
            f"healthy: without it no {PARTS[name]}",
            f"Start it, and read its log: docker compose up --detach {service}; docker compose logs {service}",
        )
    return fine(f"healthy, last heartbeat {found.heartbeat}")


def login(about: Examined) -> DoctorFinding:
    """Whether Airflow takes the login that doctor was given."""
    given = _given(about)
    if given is None:
        return unchecked("no login of Airflow", LOGIN)
    _server(about).get("/api/v2/dags?limit=1", msgspec.Raw)
    return fine(given[0])


def _given(about: Examined) -> tuple[str, str, str] | None:
    """How it logs in: a text for people, user, and password; or the token as the last, with no user."""
    env = about.environment
    if env.get(TOKEN):
        return f"with {TOKEN}", "", env[TOKEN]
    user = env.get(USER) or DEFAULT_USER
    if env.get(PASSWORD):
        return f"as {user}, with {PASSWORD}", user, env[PASSWORD]
    try:
        password = str(json.loads(Path(env[PASSWORDS_FILE]).read_text())[user])
    except (KeyError, OSError, ValueError, TypeError):
        return None
    return f"as {user}, with the file of {PASSWORDS_FILE}", user, password


def _server(about: Examined) -> ServerAddress:
    """The API with a login."""
    given = _given(about)
    if given is None:
        raise ConfigError(f"no login of Airflow: {LOGIN}")
    _, user, secret = given
    if not user:
        return ServerAddress(about.airflow, {"Authorization": f"Bearer {secret}"})
    token = ServerAddress(about.airflow).ask("/auth/token", Token, {"username": user, "password": secret})
    return ServerAddress(about.airflow, {"Authorization": f"Bearer {token.access_token}"})


def import_errors(about: Examined) -> DoctorFinding:
    """Whether the DAG files can be read; a wrong setting shows there."""
    rows = _server(about).get("/api/v2/importErrors?limit=100", ImportErrors).import_errors
    ours = [row for row in rows if OURS.search(row.filename)]
    if ours:
        seen = "\n".join(f"{Path(row.filename).name}: {_reason(row.stack_trace)}" for row in ours)
        fix = "Correct what is named where the dag-processor runs, and start it anew: docker compose up --detach"
        return failed(seen, "no import errors of this project's DAGs", fix)
    return fine(f"none of this project{f', {len(rows)} of other DAGs' if rows else ''}")


def _reason(trace: str) -> str:
    """The error at the end of a traceback, with its message of perhaps several lines."""
    rows = trace.rstrip().split("\n")
    starts = [number for number, row in enumerate(rows) if re.match(r"[\w.]+(Error|Exception|NotFound)\b", row)]
    return " ".join(map(printable, rows[starts[-1] if starts else -1 :]))


def dag(about: Examined) -> DoctorFinding:
    """Whether the DAG is there and runs."""
    try:
        found = _server(about).get(f"/api/v2/dags/{RETRAIN_DAG}", Dag)
    except NotFound:
        fix = "Look for import errors; set AIRFLOW__CORE__DAGS_FOLDER to the folder dags/ of the project."
        return failed(f"{about.airflow} has no DAG {RETRAIN_DAG}", "the DAG, once the dag-processor has read it", fix)
    scheduled = found.timetable_summary not in (None, "None", "")
    if found.is_paused:
        verdict = failed if scheduled else warning
        expected = "a DAG that runs" + (f": its schedule {found.timetable_summary} starts nothing now" * scheduled)
        return verdict(f"{RETRAIN_DAG} is paused", expected, f"airflow dags unpause {RETRAIN_DAG} -y")
    following = f", next run {found.next_dagrun_run_after:%Y-%m-%d %H:%M}" if found.next_dagrun_run_after else ""
    return fine(f"{RETRAIN_DAG} is not paused{following}")


def schedule(about: Examined) -> DoctorFinding:
    """Whether the DAG has the schedule and the time zone of this environment."""
    text, zone = read_cron(about.environment)
    try:
        found = _server(about).get(f"/api/v2/dags/{RETRAIN_DAG}", Dag)
    except NotFound:
        return unchecked(f"{text} in {zone} is valid; Airflow has no DAG to compare with")
    expected = {"none": NO_CLOCK, "asset": BY_ASSET}.get(text, PRESETS.get(text, text))
    theirs, following = found.timetable_summary or NO_CLOCK, found.next_dagrun_run_after
    if theirs != expected:
        return warning(
            f"{RETRAIN_DAG} has the schedule {printable(theirs)}",
            f"{expected} ({zone}), of RECOMMENDER_SCHEDULE={text} in this environment",
            SAME_EVERYWHERE,
        )
    if text in UNTIMED:
        return fine(text)
    if following is None:
        return fine(f"{text}; Airflow plans no run now, so the time zone was not compared with {zone}")
    if not is_tick(text, zone, following):
        return warning(
            f"the next run of {RETRAIN_DAG} is at {following.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            f"a tick of {text} in {zone}, of RECOMMENDER_SCHEDULE_TIMEZONE in this environment",
            SAME_EVERYWHERE,
        )
    return fine(f"{text} in {zone}, as is the next run")


def last_success(about: Examined) -> DoctorFinding:
    """Whether runs succeed as often as the schedule starts them."""
    query = urlencode({"state": "success", "order_by": "-run_after", "limit": 1})
    runs = _server(about).get(f"/api/v2/dags/{RETRAIN_DAG}/dagRuns?{query}", DagRuns).dag_runs
    logs = f"Read the log of the newest runs: {about.airflow}/dags/{RETRAIN_DAG}/runs"
    if not runs:
        return warning(
            f"no run of {RETRAIN_DAG} has succeeded yet", "one", f"airflow dags trigger {RETRAIN_DAG}. {logs}"
        )
    newest = runs[0]
    seen = f"{newest.dag_run_id} of {newest.run_after:%Y-%m-%d %H:%M}"
    ticks = last_ticks(*read_cron(about.environment), about.now)
    if ticks and newest.run_after < ticks[0]:
        expected = f"one since {ticks[0]:%Y-%m-%d %H:%M %Z}: the schedule has started two since then"
        return failed(f"the last success is {seen}", expected, logs)
    return fine(seen)


def pool(about: Examined) -> DoctorFinding:
    """Whether the training pool can start a task."""
    name = about.environment.get("RECOMMENDER_TRAINING_POOL", "").strip() or "default_pool"
    make = f'airflow pools set {name} 1 "One training at a time"'
    expected = f"the pool {name} of RECOMMENDER_TRAINING_POOL, with at least one slot; its tasks wait for ever else"
    try:
        slots = _server(about).get(f"/api/v2/pools/{quote(name, safe='')}", Pool).slots
    except NotFound:
        return failed(f"{about.airflow}: the pool {name} does not exist", expected, make)
    if slots == 0:
        return failed(f"{about.airflow}: the pool {name} has no slots", expected, make)
    return fine(f"{name}, {'slots without limit' if slots < 0 else f'{slots} slot' + 's' * (slots > 1)}")


def connection(about: Examined) -> DoctorFinding:
    """Whether the DAG's connection exists and is of type aws; from the environment, where Airflow looks first."""
    name = about.environment.get("RECOMMENDER_AWS_CONN_ID", "").strip() or "aws_default"
    variable = f"AIRFLOW_CONN_{name.upper()}"
    text = about.environment.get(variable, "")
    add = f'airflow connections add {name} --conn-type aws --conn-extra \'{{"region_name": "eu-west-1"}}\''
    try:
        if text:
            found = read_variable(text)
        elif not about.airflow or not _given(about):
            return unchecked(
                f"{variable} is not set here, and Airflow cannot be asked", LOGIN if about.airflow else GIVE
            )
        else:
            found = _server(about).get(f"/api/v2/connections/{quote(name, safe='')}", Connection)
    except NotFound:
        return warning(
            f"the database of {about.airflow} has no connection {name}, and {variable} is not set here",
            "one of type aws; one from a secrets backend, or from the environment of the workers alone, is not seen",
            add,
        )
    except ValueError:
        return failed(
            f"{variable} is neither JSON nor a URI aws://", '{"conn_type": "aws", ...}', f"Correct {variable}."
        )
    return judge(name, found, add)


def _checks() -> tuple[DoctorCheck[Examined], ...]:
    group, needs = "Airflow", ("Airflow login",)
    parts = [DoctorCheck(group, name.replace("_", "-"), partial(part, name), ("API server",)) for name in PARTS]
    return (
        DoctorCheck(group, "API server", api_server),
        *parts,
        DoctorCheck(group, "connection", connection),
        DoctorCheck(group, "Airflow login", login, ("API server",), "a login that Airflow takes", LOGIN),
        DoctorCheck(group, "import errors", import_errors, needs),
        DoctorCheck(group, "DAG", dag, needs),
        DoctorCheck(group, "schedule", schedule, needs, "a schedule that Airflow can plan", SCHEDULE_FIX),
        DoctorCheck(group, "last success", last_success, ("DAG", "schedule")),
        DoctorCheck(group, "pool", pool, needs),
    )


CHECKS = _checks()
