"""`make registry ARGS="list"`: a command of the registry on what `make run` or `make up` made last; S3 as needed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.stack import LAPTOP_STORE_PORT
from include.recommender.errors import RecommenderError

from . import shell, store
from .environment import isolate, unused
from .home import Home, fail
from .run import INTERRUPTED, stop_like_ctrl_c

PURPOSE, WAIT_S = "make registry", 600.0
FOR_DOCTOR = ("API_KEY", "AIRFLOW_ADMIN_PASSWORD")
TYPED_AS = "make registry ARGS='{}'"  # in the command's help and messages


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is that of the registry's command."""
    parser = argparse.ArgumentParser(prog="python -m local.registry", description=__doc__)
    parser.add_argument("--s3-port", default=LAPTOP_STORE_PORT, help="of the local S3 (%(default)s)")
    parser.add_argument("--local", type=Path, default=Home().path, help="where everything is kept (%(default)s)")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="of the command; none lists all commands")
    given = parser.parse_args(arguments)
    words = given.words[1:] if given.words[:1] == ["--"] else given.words
    stop_like_ctrl_c()
    for line in unused():
        print(line, file=sys.stderr)
    try:
        return registry(Home(given.local), store.read_port(given.s3_port, "S3_PORT"), words or ["--help"])
    except RecommenderError as error:
        return fail(error)
    except KeyboardInterrupt:
        return INTERRUPTED


def registry(home: Home, port: int, words: Sequence[str]) -> int:
    """Run one command against the server that runs, or against one that ends with it."""
    about, holder = shell.read(home), home.holder() or ""
    # Another `make registry` ends its server with its own command, so that is waited for.
    waits = holder.startswith(PURPOSE)
    if holder and not waits and store.serves(about["AWS_ENDPOINT_URL_S3"]):
        return _call(about, words)
    if waits:
        print(f"Waiting for {holder} ...", file=sys.stderr, flush=True)
    with home.own(PURPOSE, WAIT_S), store.serve(home, port) as server:
        return _call(about | server.store.boto3(), words)


def _call(about: Mapping[str, str], words: Sequence[str]) -> int:
    if not any(word == "--root" or word.startswith("--root=") for word in words):
        # Not on stdout, which may be read by a program.
        print(f"Registry below {about['RECOMMENDER_ROOT']} (what ran last; --root names another)", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, "-m", "include.recommender.console", *words],
        env={**os.environ, **about, "RECOMMENDER_REGISTRY_TYPED_AS": TYPED_AS},
        check=False,
    )
    return done.returncode


if __name__ == "__main__":
    asked_with = {name: os.environ[name] for name in FOR_DOCTOR if name in os.environ}
    isolate()
    os.environ.update(asked_with)
    sys.exit(main())
