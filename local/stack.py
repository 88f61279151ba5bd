"""`make up`, `make down`: Airflow's UI and scheduler on PostgreSQL, with the local S3, all on loopback."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from include.recommender.errors import ConfigError, RecommenderError

from . import shell, store
from .airflow_env import airflow_environment
from .home import Home, end_all, fail, say
from .postgres import database
from .run import INTERRUPTED, stop_like_ctrl_c
from .uploads import put_samples

# Their log servers would listen on all interfaces; the UI reads the same disk.
PARTS: dict[str, list[str]] = {
    "api-server": [],
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}
POOL = "recommender_training"
OURS = {"RECOMMENDER_ROOT", "RECOMMENDER_SNAPSHOTS", "RECOMMENDER_CACHE"}  # of settings, what the stack itself decides
USER = "admin"
READY_S = 240.0
WATCH_S = 1.0
PARTS_GRACE_S = 10.0  # the scheduler waits for running tasks; a task may be killed at any moment without harm


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; `up` stays in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    parser.add_argument("--port", default=8080, help="of Airflow's UI (%(default)s)")
    parser.add_argument("--s3-port", default=store.DEFAULT_PORT, help="of the local S3 (%(default)s)")
    given = parser.parse_args(arguments)
    stop_like_ctrl_c()
    try:
        ports = store.read_port(given.port, "PORT"), store.read_port(given.s3_port, "S3_PORT")
        return down(Home()) if given.what == "down" else up(Home(), *ports)
    except RecommenderError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("Everything that was started has been stopped; all data is kept in .local.", flush=True)
        return INTERRUPTED


def down(home: Home) -> int:
    """End `make up`, whichever terminal it runs in, and whatever a killed one left."""
    pid = home.holder_pid()
    if pid is None:
        with home.own("make down"), database(home):
            say("Nothing was running", "down")
        return 0
    say(f"Ending {home.holder()} ...", "down")
    end_all([psutil.Process(pid)], grace_s=60)
    with home.own("make down"):
        say("Everything has ended", "down")
    return 0


def up(home: Home, port: int, s3_port: int) -> int:
    """Start everything, tell how to reach it, and watch it until it is told to end."""
    with home.own("make up"), ExitStack() as stack:
        store.check_port(port, "PORT")
        endpoint = stack.enter_context(store.serve(home, s3_port))
        say(f"S3 is up: {endpoint}", "s3")
        source = put_samples(store.client(endpoint))
        url = stack.enter_context(database(home))
        environment = airflow_environment(home, endpoint, source.root, url) | _serving(home, port)
        shell_file = shell.write(home, endpoint, environment)
        _prepare(home, environment)
        children = stack.enter_context(_parts(home, environment))
        _wait(home, children, f"http://{store.HOST}:{port}/api/v2/monitor/health")
        print(_welcome(home, port, endpoint, shell_file), flush=True)
        return _watch(home, children)


def _serving(home: Home, port: int) -> dict[str, str]:
    """What the serving parts need besides: where they listen, who may log in, and the training pool."""
    passwords = home.path / "airflow" / "login.json"
    if not passwords.exists():
        file = os.open(passwords, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(file, "w") as opened:
            json.dump({USER: secrets.token_urlsafe(12)}, opened)
    address = f"http://{store.HOST}:{port}"
    return {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__API__HOST": store.HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "RECOMMENDER_TRAINING_POOL": POOL,
    } | {name: value for name, value in shell.settings().items() if name not in OURS}


def _prepare(home: Home, environment: Mapping[str, str]) -> None:
    """Airflow's tables and the training pool."""
    log = home.logs / "airflow-setup.log"
    for words in (["db", "migrate"], ["pools", "set", POOL, "1", "One training at a time takes the machine's memory"]):
        say(f"airflow {' '.join(words[:2])} ...", "airflow")
        with log.open("ab") as output:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", *words],
                env=home.child_environment(environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
                check=False,
            )
        if done.returncode:
            raise ConfigError(f"airflow {' '.join(words[:2])} failed with status {done.returncode}; see {log}")


@contextmanager
def _parts(home: Home, environment: Mapping[str, str]) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """All parts of Airflow, as children that end together."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for part, words in PARTS.items():
            with (home.logs / f"{part}.log").open("ab") as output:
                running[part] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", part, *words],
                    env=home.child_environment(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        yield running
    finally:
        store.stop(*running.values(), grace_s=PARTS_GRACE_S)


def _health(url: str) -> dict[str, str]:
    """Part -> status, as Airflow tells it; empty while nobody answers."""
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            body: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return {}
    return {name: str(about["status"]) for name, about in body.items() if about.get("status")}


def _wait(home: Home, children: Mapping[str, subprocess.Popen[bytes]], url: str) -> None:
    """Wait until all parts are healthy; tells of each one that comes up."""
    deadline, told = time.monotonic() + READY_S, set[str]()
    wanted = {"metadatabase", "scheduler", "dag_processor", "triggerer"}
    say("Starting api-server, scheduler, dag-processor and triggerer ...", "airflow")
    while told < wanted:
        _check(home, children)
        for name in sorted(name for name, state in _health(url).items() if state == "healthy" and name not in told):
            say(f"{name} is healthy", "airflow")
            told.add(name)
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(wanted - told))
            raise ConfigError(f"Not healthy within {READY_S:.0f} s: {missing}. Their logs: {home.logs}")
        time.sleep(WATCH_S / 2)


def _check(home: Home, children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for part, process in children.items():
        if process.poll() is not None:
            raise ConfigError(f"{part} ended with status {process.returncode}; see {home.logs / f'{part}.log'}")


def _watch(home: Home, children: Mapping[str, subprocess.Popen[bytes]]) -> int:
    """Stay until a signal comes, or a part ends by itself."""
    while True:
        _check(home, children)
        time.sleep(WATCH_S)


def _welcome(home: Home, port: int, endpoint: str, shell_file: Path) -> str:
    password = json.loads((home.path / "airflow" / "login.json").read_text())[USER]
    return f"""
  Airflow   http://{store.HOST}:{port}   login {USER}, password {password}
  S3        {endpoint}   bucket {store.BUCKET}, any credentials
  Logs      {home.logs}{os.sep}
  Shell     . {shlex.quote(str(shell_file))}   then: airflow ..., python -m include.recommender.registry ...

  Unpause recommender_retrain in the UI, or trigger it. Ctrl-C here, or `make down` elsewhere, ends everything.
"""


if __name__ == "__main__":
    sys.exit(main())
