"""Calls to a started stack: HTTP without a proxy, and `docker compose` in the project's folder."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from deploy.health import DIRECT
from deploy.make_env import ROOT

TIMEOUT_S = 60


@dataclass(frozen=True)
class Answer:
    """The status of an answer, and its JSON; 0 where nobody answered."""

    status: int
    content: Any


@dataclass(frozen=True)
class Address:
    """A server and the token that is sent to it."""

    url: str
    token: str = ""

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request with JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with DIRECT.open(request, timeout=TIMEOUT_S) as answer:
                return Answer(answer.status, _decoded(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _decoded(error.read()))
        except OSError as error:
            return Answer(0, str(error))

    def get(self, path: str) -> Any:
        """The JSON of a GET. Raises RuntimeError at any other status than 200."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"GET {self.url}{path}: {answer.status} {answer.content}")
        return answer.content


def compose(*arguments: str, given: str | None = None) -> str:
    """The output of a command of `docker compose`. Raises RuntimeError with its errors."""
    command = ["docker", "compose", *arguments]
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def in_container(service: str, script: str, *arguments: str) -> str:
    """The last line that a Python script prints in a container."""
    out = compose("exec", "--no-TTY", service, "python", "-", *arguments, given=script)
    return out.strip().rpartition("\n")[2]


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
