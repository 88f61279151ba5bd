"""The parts of the stack: children of the owner of `.local`, each with a bounded log."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from logging import LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

import psutil

from include.recommender.errors import ConfigError

from . import processes
from .home import Home

LOG_BYTES, LOG_FILES = 5_000_000, 3
POLL_S = 0.1
LAST_WORDS_S = 2.0  # an orphan of the part may hold its output open


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is to run.

    name : for people, and of its log
    grace_s : seconds between asking it to end and killing it
    request : how it is asked
    user : whom it runs as; None means this process's
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    grace_s: float
    request: signal.Signals = signal.SIGTERM
    user: str | None = None


@dataclass(frozen=True)
class Child:
    """A part that was started, and the log that its output goes to, by a thread; log_began : its bytes before that."""

    part: Part
    process: subprocess.Popen[bytes]
    log: Path
    logger: threading.Thread
    log_began: int = 0

    @property
    def name(self) -> str:
        """Of the part."""
        return self.part.name

    @property
    def status(self) -> int | None:
        """None while it runs, else its exit status."""
        return self.process.poll()

    def check(self) -> None:
        """Raise ConfigError where it has ended."""
        if self.status is not None:
            self.logger.join(LAST_WORDS_S)
            raise ConfigError(f"{self.name} {self.ended_how()}. {tail(self.log, since=self.log_began)}")

    def ended_how(self) -> str:
        """The exit status in words."""
        status = self.process.returncode
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def start(home: Home, part: Part) -> Child:
    """Start a part; its output goes to `<name>.log` in the logs of the home."""
    for folder in (home.work, home.logs):
        folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        part.command,
        env=home.child_environment(part.environment),
        cwd=home.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C reaches the whole foreground group; the parts end in our order.
        start_new_session=True,
        user=part.user,
        group=part.user,
        extra_groups=[] if part.user else None,
    )
    log = home.logs / f"{part.name}.log"
    began = log.stat().st_size if log.exists() else 0
    logger = threading.Thread(target=_keep, args=(process.stdout, log), name=part.name, daemon=True)
    logger.start()
    return Child(part, process, log, logger, began)


def stop(*children: Child) -> None:
    """End parts and all below them, at the same time."""
    below: list[psutil.Process] = []
    for child in children:
        if child.status is None:
            below += psutil.Process(child.process.pid).children(recursive=True)
            child.process.send_signal(child.part.request)
    for child in children:
        try:
            child.process.wait(child.part.grace_s)
        except subprocess.TimeoutExpired:
            processes.kill_tree(child.process)
    processes.kill([process for process in below if processes.lives(process)])


def wait(whole: Sequence[Child], ready: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Until something is ready.

    Raises
    ------
    ConfigError
        A part has ended, or the time is over; the message says which, and shows the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        for child in whole:
            child.check()
        if time.monotonic() > deadline:
            raise ConfigError(f"{what} within {timeout_s:.0f} s. {tail(whole[-1].log)}")
        time.sleep(POLL_S)


def tail(log: Path, size: int = 600, since: int = 0) -> str:
    """The end of a log, for an error message; since : bytes at its beginning that an earlier process wrote."""
    raw = log.read_bytes() if log.exists() else b""
    text = (raw[since:] if len(raw) >= since else raw)[-size:].decode(errors="replace")
    return f"The end of {log}:\n{text}"


class _Log(RotatingFileHandler):
    """`path`, then `path.1`, `path.2`, ... ever older; a full disk loses lines, and not the part."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600))

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 logging's name
        return


def _keep(output: IO[bytes], path: Path) -> None:
    """Move output to a log until its last writer has ended."""
    log = _Log(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    with output:
        for line in output:
            log.emit(makeLogRecord({"msg": line.decode(errors="backslashreplace").rstrip("\n")}))
    log.close()
