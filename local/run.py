"""`make run`: the local S3, a snapshot in it, and one run of the DAG, from nothing to the gate's table."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from deploy.stack import LAPTOP_STORE_PORT
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.parameters import MAIN_CHANNEL, RUN
from include.recommender.parameters.options import help_line
from include.recommender.runs.dag_names import RETRAIN_DAG, TUNE_DAG
from include.recommender.storage.objects import ObjectStore

from . import logs, shell, store
from .airflow_env import airflow_environment
from .environment import check_settings, isolate, unused
from .home import Home, fail, say
from .processes import kill_tree
from .published import Published, left_behind
from .store import Server
from .wanted import Wanted

INTERRUPTED = 130
BEFORE = "Interrupted before the run began: nothing was published, and no channel was moved."
AFTER = "The run had ended before that: what it printed about model and channel is right."
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Airflow has neither a scheduler nor pools here.
IGNORED = ("RECOMMENDER_SCHEDULE", "RECOMMENDER_TRAINING_POOL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 when a verdict was reached, 1 on an error, 130 on Ctrl-C."""
    given = _parse(arguments)
    stop_like_ctrl_c()
    returncode: int | None = None
    try:
        port = store.read_port(given.s3_port, "S3_PORT")
        _check_run_settings(given.dag, os.environ)
        home = Home(given.local)
        home.check_free()
        wanted = Wanted.read(given.reviews, given.conf, given.snapshot, given.dag)
        with home.own("make tune" if given.dag == TUNE_DAG else "make run"), store.serve(home, port) as server:
            say(f"S3 is up: {server.endpoint}, kept in {home.path / 's3'}", "s3")
            source = wanted.put(server.client())
            wanted.link(server.client(), source, home)
            returncode = _run_dag(home, server, source.root, wanted.parameters(source), given.dag)
    except RecommenderError as error:
        return fail(error)
    except KeyboardInterrupt:
        # Else it comes while the server is being stopped.
        print(BEFORE if returncode is None else AFTER, flush=True)
        returncode = INTERRUPTED
    if returncode == INTERRUPTED:
        print("Everything that was started has been stopped; what was made is kept, and reused.", flush=True)
    return returncode


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.run", description=__doc__)
    add_wanted(parser)
    parser.add_argument("--s3-port", default=LAPTOP_STORE_PORT, help="of the local S3 (%(default)s)")
    parser.add_argument("--dag", choices=(RETRAIN_DAG, TUNE_DAG), default=RETRAIN_DAG, help="which DAG (%(default)s)")
    parser.add_argument("--local", type=Path, default=Home().path, help="where everything is kept (%(default)s)")
    return parser.parse_args(arguments)


def add_wanted(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which run is wanted; their defaults come from the environment, as `make` passes them."""
    environment = os.environ
    parser.add_argument("--reviews", default=environment.get("REVIEWS", ""), help="paths or globs of review files")
    parser.add_argument("--conf", default=environment.get("CONF", ""), help="parameters of the DAG, a JSON object")
    parser.add_argument("--snapshot", default=environment.get("SNAPSHOT", ""), help=help_line(RUN["snapshot"]))


def _check_run_settings(dag: str, environment: Mapping[str, str]) -> None:
    """Refuse settings that a single run without a server cannot obey; name those that change nothing here."""
    check_settings(environment)
    if dag == RETRAIN_DAG and environment.get("RECOMMENDER_APPROVAL", "").strip() == "1":
        raise ConfigError(
            "RECOMMENDER_APPROVAL=1: `make run` has no page on which somebody could approve, so it would wait in vain. "
            "Use `make up` with the same REVIEWS, CONF and SNAPSHOT, and answer in its UI; "
            "or leave RECOMMENDER_APPROVAL out"
        )
    for name in IGNORED:
        if environment.get(name):
            say(f"{name} changes nothing in a single run; `make up` obeys it", "settings")
    for line in unused(environment):
        say(line, "settings")


def _run_dag(home: Home, server: Server, root: str, conf: dict[str, Any], dag: str) -> int:
    """Run a DAG on a snapshot. Where that is interrupted, say what it has published."""
    store, channel = ObjectStore.at(server.client(), root), str(conf.get("channel") or MAIN_CHANNEL)
    before = Published.read(store, channel)
    try:
        return run_dag(home, server, root, conf, dag, f"on snapshot {conf['snapshot']}")
    except KeyboardInterrupt:
        print(left_behind(before, Published.read(store, channel)), flush=True)
        return INTERRUPTED


def run_dag(home: Home, server: Server, root: str, conf: dict[str, Any], dag: str, on: str) -> int:
    """Run a DAG in a child, and return its status; Ctrl-C ends the child, too.

    Parameters
    ----------
    root : RECOMMENDER_ROOT, an S3 URI
    on : what it runs on, in words

    Raises
    ------
    ConfigError
        A signal killed the run.
    """
    logs.prune(home)
    log = home.logs / f"run-{datetime.now():%Y%m%dT%H%M%S}.log"
    database = f"sqlite:///{home.path / 'airflow' / 'airflow.db'}"
    say(f"Starting {dag} {on}; Airflow's own log: {log}", "airflow")
    environment = airflow_environment(home, server.store, root, database)
    environment |= {"RECOMMENDER_SCHEDULE": "none", "RECOMMENDER_TRAINING_POOL": ""}
    shell.write(home, server.store, environment)
    options: list[str | Path] = ["--dag", dag, "--conf", json.dumps(conf), "--log", log, "--local", home.path]
    child = subprocess.Popen(
        [sys.executable, "-m", "local.dag_run", *options],
        env=home.child_environment(environment),
        # A pipe, so that the run ends when this process is killed: nobody would report what it publishes after that.
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        # Not child.wait(): it goes on waiting for a quarter of a second after Ctrl-C, and tasks are short.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return _explain(child.wait(), log)
    except KeyboardInterrupt:
        kill_tree(child)
        raise


def _explain(returncode: int, log: Path) -> int:
    if returncode < 0:
        name = signal.Signals(-returncode).name
        raise ConfigError(f"The run was killed by {name}, most often for want of memory. Its log: {log}")
    if returncode:
        print(f"Log:     {log}", flush=True)
    return returncode


def stop_like_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: by cleaning up."""
    # SIGINT too: a shell without job control starts background commands with it ignored.
    for number in STOPPING:
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> NoReturn:
    for number in STOPPING:  # cleaning up takes seconds, and must not be interrupted itself
        signal.signal(number, signal.SIG_IGN)
    print("\nStopping ...", flush=True)
    raise KeyboardInterrupt


if __name__ == "__main__":
    isolate()
    sys.exit(main())
