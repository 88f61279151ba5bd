"""`.local`: everything that the laptop stand-ins keep, owned by one process at a time."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

import psutil

from include.recommender.errors import ConfigError
from include.recommender.plain_text import shown, shown_lines

from .environment import MARK, PROJECT, isolated
from .leash import set_subreaper

HOME_MARK = ".recommender-home"
GRACE_S = 20.0
LEFT_GRACE_S = 3.0
RUN_MODULE = "local.dag_run"
LEASH = str(PROJECT / "local" / "leash.py")


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
        with _opened(self.path / "lock") as file:
            return None if _try_lock(file) else _read(file)

    def holder_process(self) -> psutil.Process | None:
        """The owner; None where nobody owns the directory."""
        words = (self.holder() or "").rpartition("process ")[2].split(",")[0]
        try:
            return psutil.Process(int(words)) if words.isdigit() else None
        except psutil.NoSuchProcess:
            return None

    @contextmanager
    def own(self, purpose: str) -> Iterator[list[str]]:
        """Own the directory; end what an owner that was killed left running, and yield the names of that.

        The lock is the kernel's (flock), so it cannot outlive its process.

        Raises
        ------
        ConfigError
            Somebody else owns it; the message says who.
        """
        self._make_private()
        with _opened(self.path / "lock") as file:
            if not _try_lock(file):
                raise ConfigError(
                    f"{self.path} is in use by {_read(file)}. Wait for it to end, or end it: "
                    "`make down` for `make up`, Ctrl-C for `make run`."
                )
            os.ftruncate(file, 0)
            os.pwrite(file, f"{purpose}, process {os.getpid()}, since {datetime.now():%H:%M:%S}".encode(), 0)
            ended = _clear(self.leftovers())
            # Orphans come to this process, so that they are found below it.
            set_subreaper(True)
            try:
                yield ended
            except BaseException:
                # Ctrl-C may come between the start of a process and the care for its end, or within that.
                _end(self.leftovers())
                raise
            finally:
                set_subreaper(False)
                os.ftruncate(file, 0)

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
        return [process for process in found.values() if process.pid not in callers and _lives(process)]

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
        return Path(words[0] if words else "").name == "postgres" and words[1:3] == ["-D", str(self.postgres.resolve())]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


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


def _clear(left: list[psutil.Process]) -> list[str]:
    """End what a killed owner left running; the names of that."""
    names = sorted({_name(process) for process in left})
    if left:
        say(f"Ending {len(left)} process(es) that a killed owner left behind: {', '.join(names)} ...", "local")
        _end(left)
    return names


def _name(process: psutil.Process) -> str:
    """The part that a process belongs to, else what it calls itself."""
    try:
        words = process.cmdline()
        if "--name" in words[:-1]:
            return words[words.index("--name") + 1]
        return " ".join(words)[:60].strip() or process.name()
    except psutil.Error:
        return "a process that has just ended"


def _end(left: list[psutil.Process]) -> None:
    """End processes; runs of the DAG first, and at once, before they publish anything."""
    leashed: list[psutil.Process] = []
    for process in left:
        with suppress(psutil.Error):
            words = process.cmdline()
            if RUN_MODULE in words:
                _send(process, kill=True)
            elif LEASH in words:
                # It asks what is below it as that wants to be asked.
                _send(process, kill=False)
                leashed += [process, *process.children(recursive=True)]
    psutil.wait_procs(leashed, timeout=GRACE_S)
    end_all([process for process in left if process.is_running()], LEFT_GRACE_S)


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
