"""`make serve`: the online API on the model that `make run` or `make up` promoted, on loopback, with its own key."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import numpy as np

from deploy.health import DIRECT
from deploy.stack import API_PORT, LAPTOP_STORE_PORT
from include.recommender.api.keys import add_key, read_keys, remove_key
from include.recommender.data.reviews import load_vocabulary
from include.recommender.errors import RecommenderError
from include.recommender.parameters.of_api import ApiConfig
from include.recommender.registry.locate import connect, resolve

from . import children, shell, store
from .airflow_env import HOST
from .children import Child, Part
from .ending import HARMLESS
from .environment import isolate, settings, unused
from .home import Home, fail, kept, say
from .run import stop_like_ctrl_c

PURPOSE, WAIT_S = "make serve", 600.0
READY_S, GRACE_S, WATCH_S = 120.0, 12.0, 0.5
CALLER = "laptop"
LONG = 3  # interactions of the user in the example


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; it stays in the foreground, and returns 0 when it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m local.serve", description=__doc__)
    parser.add_argument("--port", default=API_PORT, help="of the API (%(default)s)")
    parser.add_argument("--s3-port", default=LAPTOP_STORE_PORT, help="of the local S3 (%(default)s)")
    parser.add_argument("--local", type=Path, default=Home().path, help="where everything is kept (%(default)s)")
    given = parser.parse_args(arguments)
    stop_like_ctrl_c()
    try:
        ports = store.read_port(given.port, "API_PORT"), store.read_port(given.s3_port, "S3_PORT")
        for line in unused():
            say(line, "settings")
        serve(Home(given.local), *ports)
    except RecommenderError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("The API has ended.", flush=True)
        return 0


def serve(home: Home, port: int, s3_port: int) -> NoReturn:
    """Start the API, say how to ask it, and watch it until it is told to end."""
    about = shell.read(home)
    store.check_port(port, "API_PORT")
    with _store(home, s3_port, about) as environment:
        environment |= {name: value for name, value in settings().items() if name.startswith("RECOMMENDER_API_")}
        environment |= {"RECOMMENDER_API_KEYS_FILE": str(_keys(home).resolve()), "OPENBLAS_NUM_THREADS": "1"}
        os.environ.update(environment)  # for boto3 in this process
        example = _user()
        command = [sys.executable, "-m", "include.recommender.api", "--host", HOST, "--port", str(port)]
        part = Part(name="recommendations-api", command=command, environment=environment, grace_s=GRACE_S)
        child = children.start(home, part)
        try:
            say(f"Starting the API; its log: {child.log} ...", "api")
            children.wait([child], lambda: _ready(port), READY_S, f"The API was not ready at port {port}")
            print(_welcome(home, port, child, example), flush=True)
            while True:
                child.check()
                time.sleep(WATCH_S)
        finally:
            children.stop(child)


@contextmanager
def _store(home: Home, port: int, about: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment with an S3 server that runs: that of `make up`, or one that ends with this command."""
    if home.holder() and store.serves(about["AWS_ENDPOINT_URL_S3"]):
        yield dict(about)
        return
    wait_s = WAIT_S if (home.holder() or "").startswith("make registry") else 0.0
    with home.own(PURPOSE, wait_s), store.serve(home, port) as server:
        yield dict(about) | server.store.boto3()


def _keys(home: Home) -> Path:
    """The file of keys; the key of this laptop, made once, lies beside it."""
    path, plain = home.path / "api-keys.json", home.path / "api-key"
    known = read_keys(path).keys if path.exists() else {}
    if CALLER not in known or not plain.exists():
        if CALLER in known:
            remove_key(path, CALLER)
        plain.unlink(missing_ok=True)
        key = add_key(path, CALLER)
        kept(plain, lambda: key)
    return path


def _user() -> str:
    """A user of the served version with a history, for the example. Raises NotFound, DataError."""
    registry = connect(os.environ["RECOMMENDER_ROOT"])
    manifest = registry.manifest(resolve(registry, os.environ.get("RECOMMENDER_API_CHANNEL") or ApiConfig.channel))
    with tempfile.TemporaryDirectory() as directory:
        users, indptr = (
            registry.fetch_file(manifest, name, Path(directory)) for name in ("seen_users.parquet", "seen_indptr.npy")
        )
        sizes, ids = np.diff(np.load(indptr, allow_pickle=False)), load_vocabulary(users)
    names = ids.names(np.argsort(np.abs(sizes - LONG), kind="stable")[:100])
    # Ids come from review files: only harmless ones become part of a command that somebody copies.
    return next(filter(HARMLESS.fullmatch, names), "USER")


def _ready(port: int) -> bool:
    try:
        with DIRECT.open(f"http://{HOST}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _welcome(home: Home, port: int, child: Child, user: str) -> str:
    key = shlex.quote(str(home.path / "api-key"))
    address = f"http://{HOST}:{port}"
    return f"""
  API       {address}   docs/api.md describes it, {address}/openapi.json too
  Key       in {home.path / "api-key"}
  Log       {child.log}

  curl -H "Authorization: Bearer $(cat {key})" '{address}/v1/users/{user}/recommendations?k=5'

  It follows the channel: a promotion is live within seconds. Ctrl-C ends it.
"""


if __name__ == "__main__":
    isolate()
    sys.exit(main())
