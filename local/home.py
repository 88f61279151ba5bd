"""`.local`: everything that the laptop stand-ins keep, owned by one process at a time."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

import psutil

from include.recommender.errors import ConfigError
from include.recommender.plain_text import shown, shown_lines

PROJECT = Path(__file__).resolve().parents[1]
MARK = "RECOMMENDER_LOCAL_OWNER"
GRACE_S = 20.0
RUN_MODULE = "local.dag_run"


@dataclass(frozen=True)
class Home:
    """A `.local` directory."""

    path: Path = PROJECT / ".local"

    @property
    def logs(self) -> Path:
        """Where all stand-ins log to."""
        return self.path / "logs"

    def child_environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The environment of a process that must not outlive its owner: it carries a mark by which it is found."""
        own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return own | dict(more) | {MARK: str(self.path.resolve())}

    def holder(self) -> str | None:
        """Who owns the directory now, in words; None when nobody does."""
        with _opened(self.path / "lock") as file:
            return None if _try_lock(file) else _read(file)

    def holder_pid(self) -> int | None:
        """Process id of the owner."""
        words = (self.holder() or "").rpartition("process ")[2].split(",")[0]
        return int(words) if words.isdigit() else None

    @contextmanager
    def own(self, purpose: str) -> Iterator[None]:
        """Own the directory, and end what an owner that was killed left running.

        The lock is the kernel's (flock), so it cannot outlive its process.

        Raises
        ------
        ConfigError
            Somebody else owns it; the message says who.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        with _opened(self.path / "lock") as file:
            if not _try_lock(file):
                raise ConfigError(
                    f"{self.path} is in use by {_read(file)}. Wait for it to end, or end it: "
                    "`make down` for `make up`, Ctrl-C for `make run`."
                )
            os.ftruncate(file, 0)
            os.pwrite(file, f"{purpose}, process {os.getpid()}, since {datetime.now():%H:%M:%S}".encode(), 0)
            _clear(self.leftovers())
            try:
                yield
            except BaseException:
                # Ctrl-C may come between the start of a process and the care for its end, or within that.
                _end(self.leftovers())
                raise
            finally:
                os.ftruncate(file, 0)

    def leftovers(self) -> list[psutil.Process]:
        """Processes that carry this directory's mark, and everything below them."""
        found: dict[int, psutil.Process] = {}
        mark = str(self.path.resolve())
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == mark and process.pid != os.getpid():
                    found |= {each.pid: each for each in (process, *process.children(recursive=True))}
            except (psutil.Error, OSError):
                continue
        return list(found.values())


def end_all(processes: list[psutil.Process], grace_s: float = GRACE_S) -> None:
    """Ask processes to end, and kill those that have not ended after a while."""
    for process in processes:
        _send(process, kill=False)
    for process in psutil.wait_procs(processes, timeout=grace_s)[1]:
        _send(process, kill=True)
    psutil.wait_procs(processes, timeout=grace_s)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End a run of the DAG and all below it, now: Airflow's task runner keeps SIGTERM for itself, and goes on.

    A task may be killed at any moment without harm.
    """
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        below = top.children(recursive=True)
        for each in (top, *below):
            _send(each, kill=True)
        psutil.wait_procs(below, timeout=GRACE_S)
    process.wait()


def _clear(left: list[psutil.Process]) -> None:
    """End what a killed owner left running."""
    if left:
        say(f"Ending {len(left)} process(es) that a killed run left behind ...", "local")
        _end(left)


def _end(left: list[psutil.Process]) -> None:
    """End processes; runs of the DAG first, and at once, before they publish anything."""
    for process in left:
        with suppress(psutil.Error):
            if RUN_MODULE in process.cmdline():
                _send(process, kill=True)
    end_all(left)


def say(message: str, name: str, out: TextIO | None = None) -> None:
    """One line of progress: time, task, message, with nothing in it that a terminal would obey."""
    print(f"{datetime.now():%H:%M:%S}  {name:<20}  {shown(message)}", file=out, flush=True)


def fail(error: Exception) -> int:
    """Tell of an error in the last lines on the terminal; return the exit status."""
    print(f"\nError: {shown_lines(str(error))}", file=sys.stderr, flush=True)
    return 1


def _send(process: psutil.Process, kill: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill() if kill else process.terminate()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> str:
    return os.pread(file, 1000, 0).decode() or "another process"
