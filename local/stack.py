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

from include.recommender.errors import ConfigError, RecommenderError

from . import children, logs, shell, store
from .airflow_env import airflow_environment
from .children import Child
from .environment import check_settings, isolate, settings
from .home import Home, end_all, fail, kept, say
from .postgres import database
from .rest import Airflow
from .run import INTERRUPTED, add_wanted, stop_like_ctrl_c
from .wanted import RETRAIN, Wanted

# Their log servers would listen on all interfaces; the UI reads the same disk.
PARTS: dict[str, list[str]] = {
    "api-server": [],
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}
POOL, POOL_SLOTS = "recommender_training", 1
# Of settings, what the stack itself decides.
OURS = {"RECOMMENDER_ROOT", "RECOMMENDER_SNAPSHOTS", "RECOMMENDER_CACHE", "RECOMMENDER_TRAINING_POOL"}
EXPANDED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TMPDIR", "PYTHONPATH")
USER = "admin"
READY_S = 240.0
WATCH_S = 1.0
PRUNE_S = 3600.0
PARTS_GRACE_S = 10.0  # the scheduler waits for running tasks; a task may be killed at any moment without harm


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; `up` stays in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    add_wanted(parser)
    parser.add_argument("--port", default=8080, help="of Airflow's UI (%(default)s)")
    parser.add_argument("--s3-port", default=store.DEFAULT_PORT, help="of the local S3 (%(default)s)")
    parser.add_argument("--local", type=Path, default=Home().path, help="where everything is kept (%(default)s)")
    given = parser.parse_args(arguments)
    stop_like_ctrl_c()
    home = Home(given.local)
    try:
        if given.what == "down":
            return down(home)
        ports = store.read_port(given.port, "PORT"), store.read_port(given.s3_port, "S3_PORT")
        check_settings()
        _check_path(home)
        wanted = Wanted.read(given.reviews, given.conf, given.snapshot)
        return up(home, *ports, wanted, run_it=bool(given.reviews or given.conf or given.snapshot))
    except RecommenderError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("Everything that was started has been stopped; all data is kept in .local.", flush=True)
        return INTERRUPTED


def _check_path(home: Home) -> None:
    """Raise ConfigError where Airflow would read a variable in the path of the project: it expands all its settings."""
    for name in EXPANDED:
        for path in (str(home.path.resolve()), str(Path(__file__).resolve().parents[1])):
            if f"${name}" in path or f"${{{name}}}" in path:
                raise ConfigError(f"{path}: Airflow would put the variable {name} in there. Move the project elsewhere")


def down(home: Home) -> int:
    """End `make up`, whichever terminal it runs in, and whatever a killed one left."""
    holder, owner = home.holder(), home.holder_process()
    if owner is not None:
        say(f"Ending {holder} ...", "down")
        end_all([owner], grace_s=60)
    with home.own("make down") as left:
        if owner is not None or left:
            say("Everything has ended; all data is kept in .local", "down")
        else:
            say("Nothing was running", "down")
    return 0


def up(home: Home, port: int, s3_port: int, wanted: Wanted, *, run_it: bool) -> int:
    """Start everything, tell how to reach it, and watch it until it is told to end.

    Parameters
    ----------
    wanted : whose reviews are served
    run_it : whether to trigger one run of that as soon as everything is healthy
    """
    with home.own("make up"), ExitStack() as stack:
        store.check_port(port, "PORT")
        logs.prune(home)
        server = stack.enter_context(store.serve(home, s3_port))
        say(f"S3 is up: {server.endpoint}", "s3")
        source = wanted.put(server.client())
        postgres = stack.enter_context(database(home))
        say("PostgreSQL is up", "postgres")
        environment = airflow_environment(home, server.endpoint, source.root, postgres.url) | _serving(home, port)
        if not settings().get("RECOMMENDER_SCHEDULE"):
            # An unpaused DAG would start the scheduled run of last week, which nobody asked for.
            environment["RECOMMENDER_SCHEDULE"] = "none"
        shell_file = shell.write(home, server.endpoint, environment)
        _prepare(home, environment)
        parts = stack.enter_context(_parts(home, environment))
        # Where S3 or PostgreSQL ends, Airflow's parts follow: the cause is looked at first.
        whole = [server.child, postgres.child, *parts]
        airflow = Airflow(f"http://{store.HOST}:{port}", USER, _password(home))
        _wait(home, whole, f"{airflow.address}/api/v2/monitor/health")
        print(_welcome(home, port, server.endpoint, shell_file), flush=True)
        if run_it:
            address = airflow.trigger(RETRAIN, wanted.parameters(source), lambda: _check(whole))
            say(f"Triggered with your REVIEWS, CONF or SNAPSHOT: {address}", "airflow")
        return _watch(home, whole)


def _serving(home: Home, port: int) -> dict[str, str]:
    """What the serving parts need besides: where they listen, who may log in, and the training pool."""
    passwords = home.path / "airflow" / "login.json"
    kept(passwords, lambda: json.dumps({USER: secrets.token_urlsafe(12)}))
    address = f"http://{store.HOST}:{port}"
    given = settings()
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
        "RECOMMENDER_TRAINING_POOL": given.get("RECOMMENDER_TRAINING_POOL", "").strip() or POOL,
    } | {name: value for name, value in given.items() if name not in OURS}


def _password(home: Home) -> str:
    return str(json.loads((home.path / "airflow" / "login.json").read_text())[USER])


def _prepare(home: Home, environment: Mapping[str, str]) -> None:
    """Airflow's tables and the training pool."""
    pool = environment["RECOMMENDER_TRAINING_POOL"]
    steps = {
        "Airflow's tables": ["-m", "airflow", "db", "migrate"],
        f"the pool {pool}": ["-m", "local.airflow_pool", pool, str(POOL_SLOTS)],
    }
    for what, words in steps.items():
        say(f"Making {what}, unless there already ...", "airflow")
        with (home.logs / "airflow-setup.log").open("wb") as output:
            done = subprocess.run(
                [sys.executable, *words],
                env=home.child_environment(environment),
                cwd=home.work,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                check=False,
            )
        if done.returncode:
            raise ConfigError(f"Making {what} failed. {children.tail(home.logs / 'airflow-setup.log')}")


@contextmanager
def _parts(home: Home, environment: Mapping[str, str]) -> Iterator[list[Child]]:
    """All parts of Airflow, as children that end together."""
    running: list[Child] = []
    try:
        for part, words in PARTS.items():
            command = [sys.executable, "-m", "airflow", part, *words]
            running.append(children.start(home, part, command, environment, grace_s=PARTS_GRACE_S))
        yield running
    finally:
        children.stop(*running)


def _health(url: str) -> dict[str, str]:
    """Part -> status, as Airflow tells it; empty while nobody answers."""
    try:
        with store.DIRECT.open(url, timeout=5) as answer:
            body: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return {}
    return {name: str(about["status"]) for name, about in body.items() if about.get("status")}


def _wait(home: Home, whole: Sequence[Child], url: str) -> None:
    """Wait until all parts are healthy; tells of each one that comes up."""
    deadline, told = time.monotonic() + READY_S, set[str]()
    wanted = {"metadatabase", "scheduler", "dag_processor", "triggerer"}
    say("Starting api-server, scheduler, dag-processor and triggerer ...", "airflow")
    while told < wanted:
        _check(whole)
        for name in sorted(name for name, state in _health(url).items() if state == "healthy" and name not in told):
            say(f"{name} is healthy", "airflow")
            told.add(name)
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(wanted - told))
            raise ConfigError(f"Not healthy within {READY_S:.0f} s: {missing}. Their logs: {home.logs}")
        time.sleep(WATCH_S / 2)


def _check(whole: Sequence[Child]) -> None:
    """Raise ConfigError where a part has ended, the first one that explains the others."""
    for child in whole:
        if child.leash.poll() is not None:
            say(f"{child.name} {children.ended_how(child.leash.returncode)}; ending the others ...", child.name)
            child.check()


def _watch(home: Home, whole: Sequence[Child]) -> int:
    """Stay until a signal comes, or a part ends by itself."""
    pruned = time.monotonic()
    while True:
        _check(whole)
        if time.monotonic() - pruned > PRUNE_S:
            logs.prune(home)
            pruned = time.monotonic()
        time.sleep(WATCH_S)


def _welcome(home: Home, port: int, endpoint: str, shell_file: Path) -> str:
    return f"""
  Airflow   http://{store.HOST}:{port}   login {USER}, password {_password(home)}
  S3        {endpoint}   bucket {store.BUCKET}; its key stands in {shell_file.name}
  Logs      {home.logs}{os.sep}
  Shell     . {shlex.quote(str(shell_file))}   then: airflow ..., python -m include.recommender.console ...

  Unpause recommender_retrain in the UI, or trigger it. Ctrl-C here, or `make down` elsewhere, ends everything.
"""


if __name__ == "__main__":
    isolate()
    sys.exit(main())
