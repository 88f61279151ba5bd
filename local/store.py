"""The S3-compatible server of the laptop: ministack behind a guard, on loopback; its buckets stay in `.local/s3`."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import psutil

from deploy.health import DIRECT
from deploy.stack import BUCKET, REGION, Store
from include.recommender.errors import ConfigError
from include.recommender.parameters import shown_value
from include.recommender.parameters.kinds import Whole
from include.recommender.storage.client import client_config

from . import children
from .airflow_env import HOST
from .children import Child, Part
from .guarded_store import HEALTH
from .home import Home, kept

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

KEY_FILE = "s3-key.json"
PORT = Whole(1024, 65535)
READY_S = 60.0
GRACE_S = 20.0


@dataclass(frozen=True)
class Server:
    """A running server and its process."""

    store: Store
    child: Child

    @property
    def endpoint(self) -> str:
        """Its address."""
        return self.store.endpoint

    def client(self) -> S3Client:
        """A client of it, with timeouts and retries as the tasks have them."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.store.key_id,
            aws_secret_access_key=self.store.secret,
            config=client_config(),
        )


def home_store(home: Home, port: int) -> Store:
    """The store of a home; its key is made once."""
    made = {"key_id": f"local-{secrets.token_hex(7)}", "secret": secrets.token_urlsafe(30)}
    key = json.loads(kept(home.path / KEY_FILE, lambda: json.dumps(made)))
    return Store(f"http://{HOST}:{port}", **key)


@contextmanager
def serve(home: Home, port: int) -> Iterator[Server]:
    """A running server with our bucket in it; it is stopped at the end.

    Raises
    ------
    ConfigError
        The port is in use, or the server did not come up; the message says by whom, or where its log is.
    """
    check_port(port, "S3_PORT")
    store, data = home_store(home, port), home.path / "s3"
    for name in ("objects", "state", "tmp"):
        (data / name).mkdir(parents=True, exist_ok=True)
    options = ["--host", HOST, "--port", str(port), "--key", str((home.path / KEY_FILE).resolve())]
    command = [sys.executable, "-m", "local.guarded_store", *options]
    part = Part(name="s3", command=command, environment=_environment(data, port), grace_s=GRACE_S)
    child = children.start(home, part)
    try:
        server = Server(store, child)
        children.wait([child], lambda: serves(server.endpoint), READY_S, f"S3 did not answer at {server.endpoint}")
        _ensure_bucket(server.client())
        yield server
    finally:
        children.stop(child)


def serves(endpoint: str) -> bool:
    """Whether an S3 server of ours answers there."""
    try:
        with DIRECT.open(endpoint + HEALTH, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def read_port(text: str | int, variable: str) -> int:
    """A port as somebody wrote it. Raises ConfigError."""
    port = PORT.parse(str(text))
    if not PORT.allows(port):
        raise ConfigError(f"{variable}={shown_value(port)}: expected a port, {PORT.expected}")
    return PORT.read(port)


def check_port(port: int, variable: str) -> None:
    """Raise ConfigError when a port of loopback cannot be had, with who has it and how to take another."""
    read_port(port, variable)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError(
                f"Port {port} of {HOST} is in use{_user_of(port)} ({error.strerror}). "
                f"End that, or take another port: make ... {variable}={port + 1}"
            ) from error


def _user_of(port: int) -> str:
    """Which process listens, as far as the system says."""
    try:
        rows = [row for row in psutil.net_connections("tcp") if row.laddr and row.laddr.port == port and row.pid]
        return f" by {psutil.Process(rows[0].pid).name()}, process {rows[0].pid}" if rows else ""
    except (psutil.Error, OSError):
        return ""


def _environment(data: Path, port: int) -> dict[str, str]:
    return {
        "SERVICES": "s3",
        # These two would listen on all interfaces.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(data / "objects"),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(data / "state"),
        "TMPDIR": str(data / "tmp"),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": os.environ.get("S3_LOG_LEVEL", "WARNING"),
    }


def _ensure_bucket(s3: S3Client) -> None:
    if BUCKET not in {row["Name"] for row in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
