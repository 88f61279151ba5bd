"""The S3-compatible server of the laptop: ministack on loopback; its buckets outlive it in `.local/s3`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from include.recommender.errors import ConfigError

from .home import GRACE_S, Home, end_all

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

HOST = "127.0.0.1"
DEFAULT_PORT = 9010
READY_S = 60.0
POLL_S = 0.05
BUCKET = "recommender"
# ministack takes any; boto3 wants some.
KEY_ID = SECRET = "local"  # noqa: S105
REGION = "us-east-1"


@contextmanager
def serve(home: Home, port: int) -> Iterator[str]:
    """A running server with our bucket in it; yields its endpoint, and stops it at the end.

    Raises
    ------
    ConfigError
        The port is in use, or the server did not come up; the message says by whom, or where its log is.
    """
    check_port(port, "S3_PORT")
    data, log = home.path / "s3", home.logs / "s3.log"
    for name in ("objects", "state", "tmp"):
        (data / name).mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=home.child_environment(_environment(data, port)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C reaches the whole foreground group; the server must outlive what still writes to it.
            start_new_session=True,
        )
    try:
        endpoint = f"http://{HOST}:{port}"
        wait_until_ready(f"{endpoint}/_ministack/health", process, log, READY_S)
        _ensure_bucket(client(endpoint))
        yield endpoint
    finally:
        stop(process)


def stop(*processes: subprocess.Popen[bytes], grace_s: float = GRACE_S) -> None:
    """End children and all below them, at the same time."""
    whole: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(process.pid)
            whole += [top, *top.children(recursive=True)]
    end_all(whole, grace_s)
    for process in processes:
        process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, timeout_s: float) -> None:
    """Poll a URL until it answers 200.

    Raises
    ------
    ConfigError
        The process ended, or the deadline passed.
    """
    deadline = time.monotonic() + timeout_s
    while not answers(url):
        if process.poll() is not None:
            raise ConfigError(
                f"{url} did not come up: its process ended with status {process.returncode}. {_tail(log)}"
            )
        if time.monotonic() > deadline:
            raise ConfigError(f"{url} did not answer within {timeout_s:.0f} s. {_tail(log)}")
        time.sleep(POLL_S)


def answers(url: str) -> bool:
    """Whether a URL answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def read_port(text: str | int, variable: str) -> int:
    """A port as somebody wrote it. Raises ConfigError."""
    if not str(text).isdecimal() or not 1024 <= int(text) <= 65535:
        raise ConfigError(f"{variable}={text}: expected a port, a whole number from 1024 to 65535")
    return int(text)


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


def client(endpoint: str) -> S3Client:
    """A client of the server, with retries as the tasks have them."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"mode": "standard"}),
    )


def connection(endpoint: str) -> str:
    """The server as an Airflow connection, in JSON."""
    extra = {"endpoint_url": endpoint, "region_name": REGION}
    about: dict[str, Any] = {"conn_type": "aws", "login": KEY_ID, "password": SECRET, "extra": extra}
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


def _tail(log: Path, size: int = 600) -> str:
    return f"The end of {log}:\n{log.read_text(errors='replace')[-size:]}"
