"""`make up`, `make down`: Airflow's UI and scheduler on PostgreSQL, with the local S3, all on loopback."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from deploy import health
from deploy.stack import BUCKET, COMPONENTS, HEALTH, LAPTOP_STORE_PORT, PARTS, UI_PORT, USER, Store
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.runs.dag_names import RETRAIN_DAG

from . import children, logs, processes, shell, store
from .airflow_env import HOST, airflow_environment, password, serving_environment
from .children import Child, Part
from .environment import OURS, check_settings, isolate, settings, unused
from .home import Home, fail, say
from .postgres import database
from .rest import Airflow
from .run import INTERRUPTED, add_wanted, stop_like_ctrl_c
from .wanted import Wanted

# Their log servers would listen on all interfaces; the UI reads the same disk.
OPTIONS = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}
# Of settings, what the stack itself decides.
EXPANDED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TMPDIR", "PYTHONPATH")
READY_S = 240.0
WATCH_S = 1.0
PRUNE_S = 3600.0
DOWN_S = 60.0
PARTS_GRACE_S = 10.0  # the scheduler waits for running tasks; a task may be killed at any moment without harm


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; `up` stays in the foreground, and returns 0 when it is asked to end."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    add_wanted(parser)
    parser.add_argument("--port", default=UI_PORT, help="of Airflow's UI (%(default)s)")
    parser.add_argument("--s3-port", default=LAPTOP_STORE_PORT, help="of the local S3 (%(default)s)")
    parser.add_argument("--local", type=Path, default=Home().path, help="where everything is kept (%(default)s)")
    given = parser.parse_args(arguments)
    stop_like_ctrl_c()
    home = Home(given.local)
    try:
        if given.what == "down":
            return down(home)
        ports = store.read_port(given.port, "PORT"), store.read_port(given.s3_port, "S3_PORT")
        check_settings()
        for line in unused():
            say(line, "settings")
        _check_path(home)
        home.check_free()
        wanted = Wanted.read(given.reviews, given.conf, given.snapshot)
        up(home, *ports, wanted, run_it=bool(given.reviews or given.conf or given.snapshot))
    except RecommenderError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("Everything that was started has been stopped; all data is kept in .local.", flush=True)
        return 0 if given.what == "up" else INTERRUPTED


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
        processes.end([owner], grace_s=DOWN_S)
    with home.own("make down") as left:
        if holder or left:
            say("Everything has ended; all data is kept in .local", "down")
        else:
            say("Nothing was running", "down")
    return 0


def up(home: Home, port: int, s3_port: int, wanted: Wanted, *, run_it: bool) -> NoReturn:
    """Start everything, say how to reach it, and watch it until it is asked to end.

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
        wanted.link(server.client(), source, home)
        postgres = stack.enter_context(database(home))
        say("PostgreSQL is up", "postgres")
        environment = _environment(home, port, server.store, source.root, postgres.url)
        shell_file = shell.write(home, server.store, environment)
        _prepare(home, environment)
        parts = stack.enter_context(_parts(home, environment))
        # Where S3 or PostgreSQL ends, Airflow's parts follow: the cause is looked at first.
        whole = [server.child, postgres.child, *parts]
        airflow = Airflow(f"http://{HOST}:{port}", USER, password(home))
        _wait(home, whole, f"{airflow.address}{HEALTH}")
        print(_welcome(home, port, server.endpoint, shell_file, run_it=run_it), flush=True)
        if run_it:
            address = airflow.trigger(RETRAIN_DAG, wanted.parameters(source), lambda: _check(whole))
            say(f"Triggered with your REVIEWS, CONF or SNAPSHOT: {address}", "airflow")
        _watch(home, whole)


def _environment(home: Home, port: int, s3: Store, root: str, url: str) -> dict[str, str]:
    """Of Airflow's parts: ours, and the settings that somebody gave."""
    given = {name: value for name, value in settings().items() if name not in OURS and value.strip()}
    # An unpaused DAG would start the scheduled run of last week, which nobody asked for.
    given.setdefault("RECOMMENDER_SCHEDULE", "none")
    return airflow_environment(home, s3, root, url) | serving_environment(home, port) | given


def _prepare(home: Home, environment: Mapping[str, str]) -> None:
    """Airflow's tables and the training pool."""
    pool, log = environment["RECOMMENDER_TRAINING_POOL"], home.logs / "airflow-setup.log"
    say(f"Making Airflow's tables and the pool {pool}, unless they are there ...", "airflow")
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "local.airflow_setup", pool],
            env=home.child_environment(environment),
            cwd=home.work,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        raise ConfigError(f"Making Airflow's tables and the pool {pool} failed. {children.tail(log)}")


@contextmanager
def _parts(home: Home, environment: Mapping[str, str]) -> Iterator[list[Child]]:
    """All parts of Airflow, as children that end together."""
    running: list[Child] = []
    try:
        for part in PARTS:
            command = [sys.executable, "-m", "airflow", part, *OPTIONS.get(part, [])]
            whole = Part(name=part, command=command, environment=environment, grace_s=PARTS_GRACE_S)
            running.append(children.start(home, whole))
        yield running
    finally:
        children.stop(*running)


def _wait(home: Home, whole: Sequence[Child], url: str) -> None:
    """Wait until all parts are healthy; says which ones come up."""
    deadline, seen = time.monotonic() + READY_S, set[str]()
    say(f"Starting {', '.join(PARTS)} ...", "airflow")
    while missing := [name for name in COMPONENTS if name not in seen]:
        _check(whole)
        for name in missing:
            if health.probe(url, name) == "healthy":
                say(f"{name} is healthy", "airflow")
                seen.add(name)
        if time.monotonic() > deadline:
            raise ConfigError(f"Not healthy within {READY_S:.0f} s: {', '.join(missing)}. Their logs: {home.logs}")
        time.sleep(WATCH_S / 2)


def _check(whole: Sequence[Child]) -> None:
    """Raise ConfigError where a part has ended, the first one that explains the others."""
    for child in whole:
        if child.status is not None:
            say(f"{child.name} {child.ended_how()}; ending the others ...", child.name)
            child.check()


def _watch(home: Home, whole: Sequence[Child]) -> NoReturn:
    """Stay until a signal comes, or a part ends by itself."""
    pruned = time.monotonic()
    while True:
        _check(whole)
        if time.monotonic() - pruned > PRUNE_S:
            logs.prune(home)
            pruned = time.monotonic()
        time.sleep(WATCH_S)


def _welcome(home: Home, port: int, endpoint: str, shell_file: Path, *, run_it: bool) -> str:
    now = f"A run of {RETRAIN_DAG} starts now." if run_it else f"Unpause {RETRAIN_DAG} in the UI, or trigger it."
    return f"""
  Airflow   http://{HOST}:{port}   login {USER}, password {password(home)}
  S3        {endpoint}   bucket {BUCKET}; its key is in {shell_file.name}
  Logs      {home.logs}{os.sep}
  Shell     . {shlex.quote(str(shell_file))}   then: airflow ..., python -m include.recommender.console ...

  {now} Ctrl-C here, or `make down` elsewhere, ends everything.
"""


if __name__ == "__main__":
    isolate()
    sys.exit(main())
