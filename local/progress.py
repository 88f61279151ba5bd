"""What the terminal shows of a run: the messages of the project's loggers, and when tasks begin and end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

import psutil

from .home import say


class Progress(logging.Handler):
    """Shows what the project's loggers say, task by task, and when tasks begin and end.

    Parameters
    ----------
    at_first : is called when the first task begins
    """

    def __init__(self, terminal: TextIO, at_first: Callable[[], None] = lambda: None) -> None:
        super().__init__(logging.INFO)
        self.terminal, self.at_first = terminal, at_first
        self.task, self.started, self.failure = "airflow", time.monotonic(), ""
        self.before, self.in_tasks, self.n_tasks, self.began = _Spent(), _Spent(), 0, _Spent()

    def say(self, message: str) -> None:
        """One line, or more, of the task that runs now."""
        for line in message.split("\n"):
            say(line, self.task, self.terminal)

    def attach(self) -> None:
        """Listen to the project's loggers and to Airflow's task events."""
        logger = logging.getLogger("include")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        _listen(self)

    def emit(self, record: logging.LogRecord) -> None:
        """One record of a logger."""
        self.say(record.getMessage())

    def begin(self, task: str) -> None:
        """A task begins."""
        self.task, self.started = task, time.monotonic()
        self.began = _Spent.of_process()
        if not self.n_tasks:
            self.before = self.began
            self.at_first()
        self.n_tasks += 1
        self.say("begins")

    def end(self, how: str) -> None:
        """The task ends."""
        self.in_tasks += _Spent.of_process() - self.began
        self.say(f"{how} after {time.monotonic() - self.started:.1f} s")
        self.task = "airflow"

    def fail(self, error: str, again: bool, is_result: bool = False) -> None:
        """The task fails; a verdict is a result, and the table shows it."""
        self.failure = error
        if is_result:
            return self.end("verdict reached, the run stops here")
        self.say(error)
        return self.end(
            "failed; Airflow will try it again, first after 30 s. Ctrl-C ends the run" if again else "FAILED"
        )

    def times(self) -> str:
        """A line: wall and CPU seconds of this process in tasks, and those that Airflow took."""
        total = _Spent.of_process()
        rest = total - self.before - self.in_tasks
        return (
            f"Time:    {total}: in {self.n_tasks} tasks {self.in_tasks}; Airflow before the first {self.before}, "
            f"between them and after {rest}"
        )


@dataclass(frozen=True)
class _Spent:
    """Wall seconds, and CPU seconds of this process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    @classmethod
    def of_process(cls) -> _Spent:
        """Since the process began."""
        return cls(time.time() - psutil.Process().create_time(), time.process_time())

    def __add__(self, other: _Spent) -> _Spent:
        return _Spent(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def __sub__(self, other: _Spent) -> _Spent:
        return _Spent(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def __str__(self) -> str:
        return f"{self.wall_s:.1f} s (CPU {self.cpu_s:.1f} s)"


def _listen(progress: Progress) -> None:
    """Register for Airflow's task events; their names and parameters are Airflow's."""
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class Listener:
        @hookimpl
        def on_task_instance_running(self, task_instance: Any) -> None:
            progress.begin(task_instance.task_id)

        @hookimpl
        def on_task_instance_success(self) -> None:
            progress.end("done")

        @hookimpl
        def on_task_instance_skipped(self) -> None:
            progress.end("skipped")

        @hookimpl
        def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
            is_final = (
                type(error).__name__ == "AirflowFailException" or task_instance.try_number > task_instance.max_tries
            )
            is_result = isinstance(error, SystemExit)  # include.orchestration.failures.ResultReached
            progress.fail(str(error), again=not is_final, is_result=is_result)

    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]
