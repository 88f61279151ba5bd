"""A process that has imported everything and computed nothing, and forks a child for each stage that is to be run.

A child is a worker of its own: it is killed with SIGKILL, and its end is seen when the kernel closes its connection.
libgomp does not survive a fork after use; here it was never used before one.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Job:
    """A stage in a child process."""

    def __init__(self, connection: socket.socket) -> None:
        self._lines = connection.makefile("r")
        self.pid = int(self._lines.readline())

    def kill(self) -> None:
        """SIGKILL; what follows in the child is nothing."""
        os.kill(self.pid, signal.SIGKILL)

    def result(self) -> dict[str, Any] | None:
        """What the child answered, once it is gone; None when it was killed. Raises where the stage did."""
        answers = [json.loads(line) for line in self._lines]
        self._lines.close()
        if not answers:
            return None
        if "error" in answers[0]:
            raise AssertionError(answers[0]["error"])
        return answers[0]["value"]


class Zygote:
    """Starts children; a context manager that leaves none behind."""

    def __enter__(self) -> "Zygote":
        self._folder = tempfile.TemporaryDirectory(prefix="zygote-")
        self._address = f"{self._folder.name}/s"
        command = [sys.executable, "-m", "tests.faults.zygote", self._address]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def start(self, **job: Any) -> Job:
        """Run `stages.run(**job)` in a child."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        connection.sendall(json.dumps(job).encode() + b"\n")
        started = Job(connection)
        connection.close()
        return started

    def run(self, **job: Any) -> dict[str, Any] | None:
        """Run a stage to its end."""
        return self.start(**job).result()

    def __exit__(self, *_: object) -> None:
        # It ends where its standard input does, so a test session that is killed leaves nothing either.
        self._process.communicate()
        self._folder.cleanup()


def serve(address: str, run: Callable[..., Any]) -> None:
    """Fork a child for each connection until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(16)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            _work(connection, run)
        connection.close()


def _work(connection: socket.socket, run: Callable[..., Any]) -> None:
    try:
        connection.sendall(b"%d\n" % os.getpid())
        job = json.loads(connection.makefile().readline())
        try:
            answer = {"value": run(**job)}
        except Exception:  # noqa: BLE001 (whatever it is, the test is to show it)
            answer = {"error": traceback.format_exc()}
        connection.sendall(json.dumps(answer).encode() + b"\n")
    finally:
        os._exit(0)


if __name__ == "__main__":
    from tests.faults import stages

    stages.warm_up()
    serve(sys.argv[1], stages.run)
