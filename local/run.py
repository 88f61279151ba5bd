"""`make run`: the local S3, a snapshot in it, and one run of the DAG, from nothing to the gate's table."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from include.orchestration.fields import retrain_fields, tune_fields
from include.orchestration.parameters import problems
from include.recommender.config import RetrainConfig
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.reporting.trend import MAIN_CHANNEL
from include.recommender.storage.objects import ObjectStore

from . import shell, store
from .airflow_env import airflow_environment
from .home import Home, fail, kill_tree, say
from .review_files import check_reviews
from .standing import Standing, left_behind
from .uploads import Source, find_reviews, put_reviews, put_samples

RETRAIN, TUNE = "recommender_retrain", "recommender_tune"
INTERRUPTED = 130
BEFORE = "Interrupted before the run began: nothing was published, and no channel was moved."
AFTER = "The run had ended before that: what it told of model and channel stands."
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 when a verdict was reached, 1 on an error, 130 on Ctrl-C."""
    given = _parse(arguments)
    stop_like_ctrl_c()
    returncode: int | None = None
    try:
        port = store.read_port(given.s3_port, "S3_PORT")
        conf = read_conf(given.conf, given.dag)
        snapshot = _read_date(given.snapshot)
        files = find_reviews(given.reviews) if given.reviews else []
        if files:
            check_reviews(files, RetrainConfig.from_params(conf).parse)
        home = Home(given.local)
        with home.own("make tune" if given.dag == TUNE else "make run"), store.serve(home, port) as endpoint:
            say(f"S3 is up: {endpoint}, kept in {home.path / 's3'}", "s3")
            s3 = store.client(endpoint)
            source = put_reviews(s3, files) if files else put_samples(s3)
            returncode = _run_dag(home, endpoint, source, {"snapshot": snapshot, **conf}, given.dag)
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
    environment = os.environ
    parser.add_argument("--reviews", default=environment.get("REVIEWS", ""), help="paths or globs of review files")
    parser.add_argument("--conf", default=environment.get("CONF", ""), help="parameters of the DAG, a JSON object")
    parser.add_argument("--snapshot", default=environment.get("SNAPSHOT", ""), help="YYYY-MM-DD (default: the newest)")
    parser.add_argument("--s3-port", default=store.DEFAULT_PORT, help="of the local S3 (%(default)s)")
    parser.add_argument("--dag", choices=(RETRAIN, TUNE), default=RETRAIN, help="which DAG (%(default)s)")
    parser.add_argument("--local", type=Path, default=Home().path, help="where everything is kept (%(default)s)")
    return parser.parse_args(arguments)


def read_conf(text: str, dag: str = RETRAIN) -> dict[str, Any]:
    """Parameters of the DAG. Raises ConfigError where the text is no JSON object."""
    try:
        conf = json.loads(text or "{}")
    except ValueError as error:
        raise ConfigError(f"CONF={text}: not JSON ({error}). Expected e.g. CONF='{{\"factors\": 32}}'") from None
    if not isinstance(conf, dict):
        raise ConfigError(f"CONF={text}: expected a JSON object, e.g. CONF='{{\"factors\": 32}}'")
    if conf:
        _check_conf(conf, dag)
    return conf


def _check_conf(conf: Mapping[str, Any], dag: str) -> None:
    """Raise ConfigError with everything that is wrong, before anything is started."""
    found = problems(conf, tune_fields() if dag == TUNE else retrain_fields())
    if found:
        raise ConfigError("CONF:\n" + "\n".join(f"  {problem}" for problem in found))


def _read_date(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError:
        raise ConfigError(f"SNAPSHOT={text}: expected a date as YYYY-MM-DD") from None


def _run_dag(home: Home, endpoint: str, source: Source, conf: dict[str, Any], dag: str) -> int:
    """Run the DAG in a child, as of the snapshot's date, so that a second run means the same."""
    snapshot = conf["snapshot"] or source.newest
    conf |= {"snapshot": snapshot, "as_of": conf.get("as_of") or snapshot}
    log = home.logs / f"run-{datetime.now():%Y%m%dT%H%M%S}.log"
    database = f"sqlite:///{home.path / 'airflow' / 'airflow.db'}"
    say(f"Starting {dag} on snapshot {snapshot}; Airflow's own log: {log}", "airflow")
    environment = airflow_environment(home, endpoint, source.root, database)
    shell.write(home, endpoint, environment)
    root, channel = ObjectStore.at(store.client(endpoint), source.root), str(conf.get("channel") or MAIN_CHANNEL)
    before = Standing.read(root, channel)
    options: list[str | Path] = ["--dag", dag, "--conf", json.dumps(conf), "--log", log, "--local", home.path]
    child = subprocess.Popen(
        [sys.executable, "-m", "local.dag_run", *options],
        env=home.child_environment(environment),
        # A pipe, so that the run ends when this process is killed: nobody would tell what it publishes after that.
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        # Not child.wait(): it goes on waiting for a quarter of a second after Ctrl-C, and tasks are short.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return _explain(child.wait(), log)
    except KeyboardInterrupt:
        kill_tree(child)
        print(left_behind(before, Standing.read(root, channel)), flush=True)
        return INTERRUPTED


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
    sys.exit(main())
