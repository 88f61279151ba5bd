"""The stand-ins' processes, each on a leash of its own (local/leash.py)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from include.recommender.errors import ConfigError

from .home import LEASH, Home, end_all
from .leash import KILLED

LOG_BYTES, LOG_FILES = 5_000_000, 3
LEASH_S = 15.0  # what a leash needs besides its command's grace


@dataclass(frozen=True)
class Child:
    """A part of the stack: its name for people, its leash, its log, and seconds that it has for its end."""

    name: str
    leash: subprocess.Popen[bytes]
    log: Path
    grace_s: float

    def check(self) -> None:
        """Raise ConfigError where it has ended."""
        if self.leash.poll() is not None:
            raise ConfigError(f"{self.name} {ended_how(self.leash.returncode)}. {tail(self.log)}")


def start(
    home: Home,
    name: str,
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    grace_s: float,
    how: Sequence[str] = (),
) -> Child:
    """Start a part; its output goes to `<name>.log` in the logs of the home.

    Parameters
    ----------
    grace_s : seconds between asking it to end and killing it
    how : more options of the leash
    """
    log = home.logs / f"{name}.log"
    options = ["--name", name, "--log", str(log.resolve())]
    options += ["--log-bytes", str(LOG_BYTES), "--log-files", str(LOG_FILES), "--grace", str(grace_s)]
    home.work.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        leash = subprocess.Popen(
            [sys.executable, "-I", LEASH, *options, *how, "--", *command],
            env=home.child_environment(environment),
            cwd=home.work,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # Ctrl-C reaches the whole foreground group; the parts end in our order.
            start_new_session=True,
        )
    return Child(name, leash, log, grace_s)


def stop(*children: Child) -> None:
    """End parts and all below them, at the same time."""
    for child in children:
        if child.leash.poll() is None:
            child.leash.send_signal(signal.SIGTERM)
    for child in children:
        try:
            child.leash.wait(child.grace_s + LEASH_S)
        except subprocess.TimeoutExpired:
            top = psutil.Process(child.leash.pid)
            end_all([top, *top.children(recursive=True)], grace_s=0.1)
            child.leash.wait()
        if child.leash.stdin is not None:
            child.leash.stdin.close()


def ended_how(status: int) -> str:
    """The exit status of a leash in words."""
    number = -status if status < 0 else status - KILLED
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"ended with status {status}"


def tail(log: Path, size: int = 600) -> str:
    """The end of a log, for an error message."""
    text = log.read_bytes()[-size:].decode(errors="replace") if log.exists() else ""
    return f"The end of {log}:\n{text}"
