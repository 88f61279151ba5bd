"""`.local`: everything that the laptop stand-ins keep, owned by one process at a time."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

import psutil

from include.recommender.errors import ConfigError
from include.recommender.plain_text import shown, shown_lines

from . import processes
from .environment import MARK, PROJECT, isolated

HOME_MARK = ".recommender-home"
CLEANING_S = 30.0  # more than it takes to end what a killed owner left
POLL_S = 0.05
CLOCK_S = 2.0  # two readings of the time at which a process began, as the system's clock is set


@dataclass(frozen=True)
class Home:
    """A `.local` directory."""

    path: Path = PROJECT / ".local"

    @property
    def logs(self) -> Path:
        """Where all stand-ins log to."""
        return self.path / "logs"

    @property
    def work(self) -> Path:
        """The working directory of the stand-ins and of nothing else: it is a mark that no process overwrites."""
        return self.path / "cwd"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data."""
        return self.path / "pg"

    def child_environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The environment of a process that must not outlive its owner: it carries a mark by which it is found."""
        return isolated(os.environ) | dict(more) | {MARK: str(self.path.resolve())}

    def holder(self) -> str | None:
        """Who owns the directory now, in words; None when nobody does."""
        text = self._lock_text()
        return None if text is None else _words(text)

    def _lock_text(self) -> str | None:
        try:
            with (self.path / "lock").open("rb") as file:
                return None if _try_lock(file.fileno()) else _read(file.fileno())
        except FileNotFoundError:
            return None

    def holder_process(self) -> psutil.Process | None:
        """The owner; None where nobody owns the directory, or what a killed owner left is still being ended."""
        return _process(self._lock_text() or "")

    def check_free(self) -> None:
        """Raise ConfigError where somebody else owns the directory; the message says who."""
        text = self._lock_text()
        if text and _process(text):
            raise self._in_use(text)

    @contextmanager
    def own(self, purpose: str, wait_s: float = 0.0) -> Iterator[list[str]]:
        """Own the directory; end what an owner that was killed left running, and yield the names of that.

        The lock is the kernel's (flock), so it cannot outlive its process and the cleaner of that.

        Parameters
        ----------
        wait_s : how long to wait for an owner of the same purpose; what a killed one left is always waited for

        Raises
        ------
        ConfigError
            Somebody else owns it; the message says who.
        """
        self._make_private()
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock(file, purpose, wait_s)
            os.ftruncate(file, 0)
            words = f"{purpose}, process {os.getpid()}, since {datetime.now():%H:%M:%S}"
            os.pwrite(file, f"{words}\n{psutil.Process().create_time()}".encode(), 0)
            ended = self.clear()
            with self._watched(file):
                yield ended
        finally:
            os.close(file)

    def _lock(self, file: int, purpose: str, wait_s: float) -> None:
        began = time.monotonic()
        while not _try_lock(file):
            holder = _read(file)
            patience_s = CLEANING_S if _process(holder) is None else wait_s * holder.startswith(purpose)
            if time.monotonic() - began > patience_s:
                raise self._in_use(holder)
            time.sleep(POLL_S)

    def _in_use(self, text: str) -> ConfigError:
        return ConfigError(
            f"{self.path} is in use by {_words(text)}. Wait for it to end, or end it: "
            "`make down` for `make up`, Ctrl-C for `make run` and `make serve`."
        )

    @contextmanager
    def _watched(self, lock: int) -> Iterator[None]:
        """All that is started within ends with it, and with this process where that is killed."""
        with (self.logs / "cleaner.log").open("ab") as output:
            cleaner = subprocess.Popen(
                [sys.executable, "-m", "local.cleaner", self.path.resolve()],
                env=isolated(os.environ),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[lock],
                start_new_session=True,
            )
        # Orphans come to this process, so that they are found below it.
        processes.set_subreaper(True)
        try:
            yield
        finally:
            processes.set_subreaper(False)
            # Ctrl-C may come between the start of a process and the care for its end, or within that.
            processes.end(self.leftovers())
            os.ftruncate(lock, 0)
            fcntl.flock(lock, fcntl.LOCK_UN)
            cleaner.communicate(b".")

    def clear(self) -> list[str]:
        """End what a killed owner left running; the names of that."""
        left = self.leftovers()
        names = sorted({processes.name(process) for process in left})
        if left:
            say(f"Ending {len(left)} process(es) that a killed owner left behind: {', '.join(names)} ...", "local")
            processes.end(left)
        return names

    def _make_private(self) -> None:
        """The directories, for their owner only; PostgreSQL's user, where root needs one, has to pass the outer one."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self.path.name != ".local" and not (self.path / HOME_MARK).exists() and any(self.path.iterdir()):
            raise ConfigError(
                f"--local {self.path}: holds files, and was not made by this project, which would delete "
                "old logs in it. Name an empty or a new folder"
            )
        (self.path / HOME_MARK).touch()
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for name in ("logs", "airflow", "s3", "cache", "reports", "cwd"):
            (self.path / name).mkdir(exist_ok=True)
            (self.path / name).chmod(0o700)

    def leftovers(self) -> list[psutil.Process]:
        """Processes of this directory, and everything below them; not this process.

        Marks are the environment and, as Airflow overwrites that, the working directory. A shell in that directory has
        a terminal; what we start has none. Process ids are never stored, so a reused one harms nobody.
        """
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and self._is_ours(process):
                    found |= {each.pid: each for each in (process, *process.children(recursive=True))}
            except (psutil.Error, OSError):
                continue
        # Where somebody calls this from below a marked process, neither it nor what called it ends.
        callers = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
        return [process for process in found.values() if process.pid not in callers and processes.lives(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(self.path.resolve()):
                return True
        with suppress(psutil.Error, OSError):
            where = process.cwd().removesuffix(" (deleted)")
            if where == str(self.work.resolve()) and process.terminal() is None:
                return True
        # Its user may differ from ours; only the command line can be read then.
        words = process.cmdline()
        return processes.is_postgres(process) and words[1:3] == ["-D", str(self.postgres.resolve())]


def kept(path: Path, make: Callable[[], str]) -> str:
    """What a file holds; where there is none, it is made whole or not at all, readable by its owner only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(make())
        # Unlike a rename, it leaves what another process made meanwhile.
        with suppress(FileExistsError):
            os.link(part, path)
        part.unlink()
    return path.read_text()


def say(message: str, name: str, out: TextIO | None = None) -> None:
    """One line of progress: time, task, message, with nothing in it that a terminal would obey."""
    print(f"{datetime.now():%H:%M:%S}  {name:<20}  {shown(message)}", file=out, flush=True)


def fail(error: Exception) -> int:
    """Print an error in the last lines on the terminal; return the exit status."""
    print(f"\nError: {shown_lines(str(error))}", file=sys.stderr, flush=True)
    return 1


def _words(text: str) -> str:
    """Who holds a lock: the first line of its text."""
    return text.partition("\n")[0]


def _process(text: str) -> psutil.Process | None:
    """The process that a lock names, where it lives; another that got its number began at another time."""
    words, _, started_s = text.partition("\n")
    number = words.rpartition("process ")[2].split(",")[0]
    try:
        process = psutil.Process(int(number))
        same = abs(process.create_time() - float(started_s)) < CLOCK_S
    except (ValueError, psutil.NoSuchProcess):
        return None
    return process if same and processes.lives(process) else None


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> str:
    return os.pread(file, 1000, 0).decode() or "another process"
