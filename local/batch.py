"""`make batch`: the lists of every user, as Parquet files, from the production model of what `make run` ran last."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.stack import LAPTOP_STORE_PORT
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.parameters import MAIN_CHANNEL
from include.recommender.registry.locate import resolve
from include.recommender.registry.registry import Registry
from include.recommender.runs.dag_names import BATCH_DAG
from include.recommender.storage.objects import ObjectStore

from . import shell, store
from .environment import check_settings, isolate, unused
from .home import Home, fail, say
from .run import INTERRUPTED, run_dag, stop_like_ctrl_c
from .wanted import read_conf

PURPOSE = "make batch"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 when the lists are there, 1 on an error, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.batch", description=__doc__)
    parser.add_argument("--conf", default=os.environ.get("CONF", ""), help="parameters of the DAG, a JSON object")
    parser.add_argument("--s3-port", default=LAPTOP_STORE_PORT, help="of the local S3 (%(default)s)")
    parser.add_argument("--local", type=Path, default=Home().path, help="where everything is kept (%(default)s)")
    given = parser.parse_args(arguments)
    stop_like_ctrl_c()
    try:
        check_settings()
        for line in unused():
            say(line, "settings")
        return batch(Home(given.local), store.read_port(given.s3_port, "S3_PORT"), given.conf)
    except RecommenderError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("The batch was stopped. The same command goes on with the parts that are missing.", flush=True)
        return INTERRUPTED


def batch(home: Home, port: int, conf: str) -> int:
    """Run the DAG on the registry that ran last.

    Raises
    ------
    ConfigError
        A parameter is wrong, nothing ran yet, or something else holds the directory.
    NotFound
        There is no such version or channel.
    """
    parameters, about = read_conf(conf, BATCH_DAG), shell.read(home)
    if (home.holder() or "").startswith("make up"):
        raise ConfigError("`make up` is running: trigger recommender_batch in its UI, or end it (`make down`) first")
    with home.own(PURPOSE), store.serve(home, port) as server:
        root = about["RECOMMENDER_ROOT"]
        # Before Airflow starts, which takes longer.
        registry = Registry(ObjectStore.at(server.client(), root))
        resolve(registry, str(parameters.get("model") or parameters.get("channel") or MAIN_CHANNEL))
        return run_dag(home, server, root, parameters, BATCH_DAG, f"on the registry below {root}")


if __name__ == "__main__":
    isolate()
    sys.exit(main())
