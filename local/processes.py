"""Processes of the stand-ins: which live, how they are asked to end, and how they are killed."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36
RUN_MODULE = "local.dag_run"
GRACE_S = 10.0


def set_subreaper(on: bool) -> None:
    """Whether orphans below this process come to it, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def lives(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and was not waited for does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_postgres(process: psutil.Process) -> bool:
    """Whether it is a server of PostgreSQL, or a process of one."""
    return process.name() == "postgres"


def name(process: psutil.Process) -> str:
    """Its command line, in short."""
    try:
        command, *words = process.cmdline() or [process.name()]
        return " ".join([command.rpartition("/")[2], *words])[:60].strip()
    except psutil.Error:
        return "a process that has just ended"


def end(processes: Sequence[psutil.Process], grace_s: float = GRACE_S) -> None:
    """Ask processes to end, and kill those that have not ended after a while.

    A run of the DAG is killed at once, before it publishes anything: Airflow's task runner keeps SIGTERM for itself. A
    task may be killed at any moment without harm.
    """
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(_request(process))
    kill(psutil.wait_procs(processes, timeout=grace_s)[1])


def kill(processes: Sequence[psutil.Process]) -> None:
    """End processes, now."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=GRACE_S)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours and all below it, now."""
    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
    # Not by psutil, which would collect its exit status.
    process.kill()
    kill(below)
    process.wait()


def _request(process: psutil.Process) -> signal.Signals:
    if RUN_MODULE in process.cmdline():
        return signal.SIGKILL
    # SIGTERM would let PostgreSQL wait for its clients.
    return signal.SIGINT if is_postgres(process) else signal.SIGTERM
