"""Try a started stack from end to end: `make compose-try`, or `python3 -m deploy.compose.trial`.

It logs in, retrains, lets the batch run, and compares the online API with the batch. With `--faults` it also kills the
scheduler during a run, and takes the stack down and up. It needs Python and `docker compose` alone. Runs, a version and
a batch stay in the stack; the user that it makes is deleted.
"""

from __future__ import annotations

import argparse
import json
import secrets
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

from deploy.compose import inside
from deploy.compose.calls import Address, compose, in_container
from deploy.make_env import ROOT, given
from deploy.stack import API_PORT, HEALTH, UI_PORT, USER

RETRAIN, BATCH, VIEWER = "recommender_retrain", "recommender_batch", "trial-viewer"
N_USERS = 20
RUN_S, START_S, STEP_S = 3600.0, 300.0, 2.0
ENDED = ("success", "failed")
T = TypeVar("T")


class Failed(Exception):
    """The stack does something else than it promises."""


def main(arguments: list[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.compose.trial", description=__doc__)
    parser.add_argument(
        "--faults", action="store_true", help="kill the scheduler during a run; take the stack down and up"
    )
    faults = parser.parse_args(arguments).faults
    try:
        variables = given(ROOT / ".env")
        try_stack(variables)
        if faults:
            try_faults(variables)
    except (Failed, RuntimeError, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print("the stack does what docs/docker.md says")
    return 0


def try_stack(variables: dict[str, str]) -> None:
    """Log in, retrain, run the batch, compare. Raises Failed."""
    airflow = log_in(variables)
    with viewer(airflow, variables) as looking:
        check_viewer(looking)
    for dag in (RETRAIN, BATCH):
        unpaused = airflow.ask("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False}).status
        expect(unpaused == 200, f"{dag} unpaused: {unpaused}")
    run = trigger(airflow, RETRAIN, {"force": True})
    ended, states = wait_for_run(airflow, RETRAIN, run), _states(airflow, RETRAIN, run)
    expect(ended == "success", f"the retrain ended: {ended}")
    # A run that found nothing new would be a success too.
    expect(states.get("refit") == "success", f"its task refit ended: {states.get('refit')}")
    ready = until(lambda: _model(variables), START_S, "the API loads the version of the channel")
    show_batch(airflow, ready, run if states.get("promote_model") == "success" else None)
    compare(variables, ready)


def try_faults(variables: dict[str, str]) -> None:
    """Kill the scheduler during a run, then take the stack down and up. Raises Failed."""
    airflow, before = log_in(variables), _model(variables)
    run = trigger(airflow, RETRAIN, {"force": True, "promotion": "by_hand"})
    until(lambda: "running" in _states(airflow, RETRAIN, run).values(), START_S, "a task of the run starts")
    killed = in_container("scheduler", inside.KILL_SCHEDULER)
    expect(int(killed) > 0, f"{killed} processes of the scheduler killed with SIGKILL")
    ended = wait_for_run(airflow, RETRAIN, run)
    expect(ended == "success", f"the run ended after the kill: {ended}")
    compose("down")
    compose("up", "--detach", "--wait")
    airflow = log_in(variables)
    kept = airflow.get(f"/api/v2/dags/{RETRAIN}/dagRuns/{quote(run)}")["state"]
    expect(kept == "success", f"after down and up the run is still known: {kept}")
    after = until(lambda: _model(variables), START_S, "the API loads the version again")
    expect(after == before, f"the API answers from the version of before, {after}")


def log_in(variables: dict[str, str]) -> Address:
    """The address of Airflow, with a token of the admin, once all its parts are healthy."""
    url = f"http://localhost:{variables.get('AIRFLOW_PORT', UI_PORT)}"
    health = until(lambda: _healthy(Address(url)), START_S, "every part of Airflow is healthy")
    expect(bool(health), f"healthy: {', '.join(health)}")
    refused = Address(url).ask("POST", "/auth/token", {"username": USER, "password": "wrong"}).status
    expect(refused == 401, f"a wrong password: {refused}")
    refused = Address(url).ask("GET", f"/api/v2/dags/{RETRAIN}").status
    expect(refused == 401, f"no token: {refused}")
    return token(url, USER, variables["AIRFLOW_ADMIN_PASSWORD"])


def token(url: str, user: str, password: str) -> Address:
    """The address with a token of a user. Raises Failed."""
    answer = Address(url).ask("POST", "/auth/token", {"username": user, "password": password})
    expect(answer.status == 201, f"a token for {user}: {answer.status}")
    return Address(url, answer.content["access_token"])


@contextmanager
def viewer(airflow: Address, variables: dict[str, str]) -> Iterator[Address]:
    """A user with the role Viewer, deleted at the end."""
    password = secrets.token_hex(12)
    user = {"username": VIEWER, "password": password, "first_name": "Trial", "last_name": "Viewer"}
    body = user | {"email": f"{VIEWER}@example.com", "roles": [{"name": "Viewer"}]}
    airflow.ask("DELETE", f"/auth/fab/v1/users/{VIEWER}")
    answer = airflow.ask("POST", "/auth/fab/v1/users", body)
    expect(answer.status in {200, 201}, f"a user with the role Viewer: {answer.status}")
    try:
        yield token(airflow.url, VIEWER, password)
    finally:
        airflow.ask("DELETE", f"/auth/fab/v1/users/{VIEWER}")


def check_viewer(looking: Address) -> None:
    """A viewer may look and nothing else. Raises Failed."""
    expect(looking.ask("GET", f"/api/v2/dags/{RETRAIN}").status == 200, "a viewer may look at the DAG")
    triggered = looking.ask("POST", f"/api/v2/dags/{RETRAIN}/dagRuns", {"logical_date": None}).status
    expect(triggered == 403, f"a viewer triggers the DAG: {triggered}")
    paused = looking.ask("PATCH", f"/api/v2/dags/{RETRAIN}", {"is_paused": True}).status
    expect(paused == 403, f"a viewer pauses the DAG: {paused}")


def trigger(airflow: Address, dag: str, conf: dict[str, Any]) -> str:
    """Start a run; return its id. Raises Failed."""
    answer = airflow.ask("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
    expect(answer.status == 200, f"{dag} {conf or ''} triggered: {answer.status}")
    return str(answer.content["dag_run_id"])


def wait_for_run(airflow: Address, dag: str, run: str) -> str:
    """The state in which a run ended; its tasks are printed."""
    began = time.monotonic()
    path = f"/api/v2/dags/{dag}/dagRuns/{quote(run)}"

    def ended() -> str:
        answer = airflow.ask("GET", path)
        return answer.content["state"] if answer.status == 200 and answer.content["state"] in ENDED else ""

    state = until(ended, RUN_S, f"{dag} {run} ends")
    for task, found in _states(airflow, dag, run).items():
        print(f"    {task}: {found}")
    print(f"    {dag}: {state} after {time.monotonic() - began:.0f} s")
    return state


def show_batch(airflow: Address, model: str, promoted_by: str | None) -> None:
    """Wait for the batch that the promotion of this run starts; where it promoted nothing, start one. Raises Failed."""

    def started() -> str:
        since = airflow.get(f"/api/v2/dags/{RETRAIN}/dagRuns/{quote(promoted_by or '')}")["start_date"]
        runs = airflow.get(f"/api/v2/dags/{BATCH}/dagRuns?order_by=-run_after&limit=5")["dag_runs"]
        later = (run for run in runs if run["run_type"] == "asset_triggered" and run["run_after"] > since)
        return next((run["dag_run_id"] for run in later), "")

    if promoted_by:
        run = until(started, START_S, "the promotion starts a batch")
    else:
        run = trigger(airflow, BATCH, {"model": model})
    ended = wait_for_run(airflow, BATCH, run)
    expect(ended == "success", f"the batch {run} ended: {ended}")


def compare(variables: dict[str, str], model: str) -> None:
    """Compare the API's lists with those of the batch, of single precision. Raises Failed."""
    api = online(variables)
    lists = json.loads(in_container("scheduler", inside.FIRST_LISTS, model, str(N_USERS)))
    expect(len(lists) > 0, f"the batch has lists of {len(lists)} users or more")
    for user, wanted in lists.items():
        answer = api.get(f"/v1/users/{quote(user)}/recommendations?k={len(wanted)}")
        found = [[row["item"], _single(row["score"])] for row in answer["items"]]
        if found != wanted or answer["model_id"] != model:
            raise Failed(
                f"{user}: the API answers {found} from {answer['model_id']}, the batch of {model} has {wanted}"
            )
    print(f"ok: the API's lists of {len(lists)} users are those of the batch, to the last digit")


def online(variables: dict[str, str]) -> Address:
    """The online API with its key."""
    return Address(f"http://localhost:{variables.get('API_PORT', API_PORT)}", variables["API_KEY"])


def expect(holds: bool, text: str) -> None:
    """Print what holds. Raises Failed where it does not."""
    if not holds:
        raise Failed(text)
    print(f"ok: {text}", flush=True)


def until(check: Callable[[], T], most_s: float, text: str) -> T:
    """Ask again until the answer is true; return it. Raises Failed."""
    end = time.monotonic() + most_s
    while not (found := check()):
        if time.monotonic() > end:
            raise Failed(f"{text}: not within {most_s:.0f} s")
        time.sleep(STEP_S)
    return found


def _healthy(airflow: Address) -> list[str]:
    answer = airflow.ask("GET", HEALTH)
    parts = answer.content if answer.status == 200 else {}
    return [*parts] if parts and all(part["status"] == "healthy" for part in parts.values()) else []


def _model(variables: dict[str, str]) -> str:
    answer = online(variables).ask("GET", "/v1/trending?k=1")
    return str(answer.content["model_id"]) if answer.status == 200 else ""


def _states(airflow: Address, dag: str, run: str) -> dict[str, str]:
    answer = airflow.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances")
    rows = answer.content["task_instances"] if answer.status == 200 else []
    return {row["task_id"]: row["state"] or "" for row in rows}


def _single(score: float) -> float:
    return float(struct.unpack("f", struct.pack("f", score))[0])


if __name__ == "__main__":
    sys.exit(main())
