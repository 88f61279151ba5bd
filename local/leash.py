"""Runs one command, keeps its output in a bounded log, and ends with all below it when it or its owner ends.

Airflow's processes overwrite their command line and environment, and leave their parents, so no mark on them lasts.
This process is their subreaper instead: whatever they start stays below it until it has ended. The owner holds the
other end of the pipe that is its standard input; the kernel closes that even when the owner is killed.

It stands alone, without the project's modules, so that it starts in milliseconds.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CHUNK = 1 << 16
KILLING_S = 10.0
KILLED = 128  # plus the number of the signal, as a shell says it


def main() -> int:
    """Command line; the exit status is that of the command, or 128 + the signal that killed it."""
    parser = argparse.ArgumentParser(prog="leash.py", description=__doc__)
    parser.add_argument("--name", required=True, help="of the part; for those who list processes")
    parser.add_argument("--log", type=Path, required=True, help="where its output goes")
    parser.add_argument("--log-bytes", type=int, required=True, help="size at which the log is rotated")
    parser.add_argument("--log-files", type=int, required=True, help="how many rotated logs are kept besides")
    parser.add_argument("--grace", type=float, required=True, help="seconds between asking to end and killing")
    parser.add_argument("--stop", choices=["TERM", "INT"], default="TERM", help="how it is asked to end (%(default)s)")
    parser.add_argument("--only-top", action="store_true", help="ask the command alone, not what is below it")
    parser.add_argument("--user", help="whom it runs as")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    log = RotatingLog(given.log, given.log_bytes, given.log_files)
    return Leash(given.command, log, Ending(given.stop, given.only_top, given.grace), given.user).run()


class RotatingLog:
    """A log of bytes: `path`, then `path.1`, `path.2`, ... ever older."""

    def __init__(self, path: Path, size: int, files: int) -> None:
        self.path, self.size, self.files = path, size, files
        self._open()

    def _open(self) -> None:
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, data: bytes) -> None:
        """Append; a full disk loses the lines, not the command."""
        try:
            if os.fstat(self.fd).st_size + len(data) > self.size:
                self._rotate()
            os.write(self.fd, data)
        except OSError:
            return

    def _rotate(self) -> None:
        for number in range(self.files - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        os.close(self.fd)
        self._open()


class Ending:
    """How a command is asked to end: the signal, whether all below it get it too, and seconds until it is killed."""

    def __init__(self, stop: str, only_top: bool, grace_s: float) -> None:
        self.signal, self.only_top, self.grace_s = signal.Signals[f"SIG{stop}"], only_top, grace_s


class Leash:
    """One command from its start until nothing is left of it."""

    def __init__(self, command: list[str], log: RotatingLog, ending: Ending, user: str | None) -> None:
        self.log, self.ending = log, ending
        self.status: int | None = None
        self.deadline: float | None = None
        self.wake = _wake_on_signals()
        set_subreaper(True)
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with(os.getpid()),
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        assert self.child.stdout is not None
        self.output = self.child.stdout.fileno()
        os.set_blocking(self.output, False)

    def run(self) -> int:
        """Until the command has ended, by itself or because it was asked to."""
        watched = [0, self.output, self.wake]
        while self.status is None:
            wait = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
            ready = select.select(watched, [], [], wait)[0]
            if self.output in ready and not self._pump():
                watched.remove(self.output)
            if self.wake in ready:
                self._on_signals(os.read(self.wake, CHUNK))
            if 0 in ready:
                watched.remove(0)
                self._ask()
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self._kill_all()
        status = self.status
        self._kill_all()
        while self._pump():
            pass
        return status

    def _on_signals(self, numbers: bytes) -> None:
        if set(numbers) - {signal.SIGCHLD}:
            self._ask()
        self._reap()

    def _ask(self) -> None:
        if self.deadline is None and self.status is None:
            self.deadline = time.monotonic() + self.ending.grace_s
            _send(self.ending.signal, [psutil.Process(self.child.pid)] if self.ending.only_top else below())

    def _kill_all(self) -> None:
        """Kill until nothing is left: what is killed may have just started something."""
        until = time.monotonic() + KILLING_S
        while (left := below()) and time.monotonic() < until:
            _send(signal.SIGKILL, left)
            self._reap()
            select.select([], [], [], 0.01)

    def _reap(self) -> None:
        """Collect what has ended: the command, and orphans that came to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.child.pid:
                code = os.waitstatus_to_exitcode(status)
                self.child.returncode = code
                self.status = code if code >= 0 else KILLED - code

    def _pump(self) -> bool:
        """Move output to the log; whether more may come now."""
        try:
            data = os.read(self.output, CHUNK)
        except BlockingIOError:
            return self.status is None
        if data:
            self.log.write(data)
        return bool(data)


def below() -> list[psutil.Process]:
    """All that lives below this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def set_subreaper(on: bool) -> None:
    """Whether orphans below this process come to it, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def _die_with(owner: int) -> Callable[[], None]:
    """For the child, after it has changed its user, which would undo this: it is killed when this process ends."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        signal.set_wakeup_fd(-1)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != owner:
                os._exit(1)

    return prepare


def _send(number: signal.Signals, processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


def _wake_on_signals() -> int:
    """A file descriptor that gets a byte a signal."""
    reads, writes = os.pipe()
    for fd in (reads, writes):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reads


if __name__ == "__main__":
    os.umask(0o077)
    outcome = main()
    # Not sys.exit: Popen of what was reaped here would complain.
    os._exit(outcome)
