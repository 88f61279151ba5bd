"""The S3-compatible server of the laptop: ministack behind a guard, on loopback; its buckets stay in `.local/s3`."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from include.recommender.errors import ConfigError
from include.recommender.parameters import shown_value
from include.recommender.parameters.kinds import Whole

from . import children
from .children import Child
from .guarded_store import HEALTH
from .home import Home, kept
from .signature import Key

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

HOST = "127.0.0.1"
DEFAULT_PORT = 9010
PORT = Whole(1024, 65535)
READY_S = 60.0
POLL_S = 0.05
GRACE_S = 20.0
BUCKET = "recommender"
REGION = "us-east-1"
# No proxy stands between this machine and itself, whatever the environment or the system says.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Server:
    """A running server: its address, the key that it takes, and its process."""

    endpoint: str
    key: Key
    child: Child

    def client(self) -> S3Client:
        """A client of it."""
        return client(self.endpoint, self.key)


def home_key(home: Home) -> Key:
    """The access key of a home, made once."""
    path = _key_file(home)
    made = {"key_id": f"local-{secrets.token_hex(7)}", "secret": secrets.token_urlsafe(30)}
    return Key(**json.loads(kept(path, lambda: json.dumps(made))))


def _key_file(home: Home) -> Path:
    return home.path / "s3-key.json"


@contextmanager
def serve(home: Home, port: int) -> Iterator[Server]:
    """A running server with our bucket in it; it is stopped at the end.

    Raises
    ------
    ConfigError
        The port is in use, or the server did not come up; the message says by whom, or where its log is.
    """
    check_port(port, "S3_PORT")
    key, data = home_key(home), home.path / "s3"
    for name in ("objects", "state", "tmp"):
        (data / name).mkdir(parents=True, exist_ok=True)
    options = ["--host", HOST, "--port", str(port), "--key", str(_key_file(home).resolve()), "--region", REGION]
    child = children.start(
        home, "s3", [sys.executable, "-m", "local.guarded_store", *options], _environment(data, port), grace_s=GRACE_S
    )
    try:
        server = Server(f"http://{HOST}:{port}", key, child)
        wait_until_ready(server.endpoint + HEALTH, child, READY_S)
        _ensure_bucket(server.client())
        yield server
    finally:
        children.stop(child)


def wait_until_ready(url: str, child: Child, timeout_s: float) -> None:
    """Poll a URL until it answers 200.

    Raises
    ------
    ConfigError
        The process ended, or the deadline passed.
    """
    deadline = time.monotonic() + timeout_s
    while not answers(url):
        child.check()
        if time.monotonic() > deadline:
            raise ConfigError(f"{url} did not answer within {timeout_s:.0f} s. {children.tail(child.log)}")
        time.sleep(POLL_S)


def answers(url: str) -> bool:
    """Whether a URL answers 200 now."""
    try:
        with DIRECT.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def serves(endpoint: str) -> bool:
    """Whether an S3 server of ours answers there."""
    return answers(endpoint + HEALTH)


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
    """Which process listens, as far as the system tells."""
    try:
        rows = [row for row in psutil.net_connections("tcp") if row.laddr and row.laddr.port == port and row.pid]
        return f" by {psutil.Process(rows[0].pid).name()}, process {rows[0].pid}" if rows else ""
    except (psutil.Error, OSError):
        return ""


def client(endpoint: str, key: Key) -> S3Client:
    """A client of the server, with retries as the tasks have them."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key.key_id,
        aws_secret_access_key=key.secret,
        # Presigned addresses would have the older signature else.
        config=Config(retries={"mode": "standard"}, signature_version="s3v4"),
    )


def connection(endpoint: str, key: Key) -> str:
    """The server as an Airflow connection, in JSON."""
    extra = {"endpoint_url": endpoint, "region_name": REGION, "config_kwargs": {"signature_version": "s3v4"}}
    about: dict[str, Any] = {"conn_type": "aws", "login": key.key_id, "password": key.secret, "extra": extra}
    return json.dumps(about)


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
