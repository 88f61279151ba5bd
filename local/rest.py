"""The little of Airflow's REST API that `make up` needs to start a run."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from deploy.health import DIRECT
from include.recommender.errors import ConfigError

PARSED_S = 120.0
POLL_S = 0.5


@dataclass(frozen=True)
class Airflow:
    """An API server and a user of it."""

    address: str
    user: str
    password: str

    def trigger(self, dag_id: str, conf: Mapping[str, Any], check: Callable[[], None]) -> str:
        """Unpause a DAG, start one run of it, and return the address of the run's page.

        Parameters
        ----------
        check : called while waiting for the DAG processor; raises where a part of the stack has ended

        Raises
        ------
        ConfigError
            The DAG does not appear, or Airflow refuses the run; the message has Airflow's words.
        """
        token = self._call("POST", "/auth/token", {"username": self.user, "password": self.password})["access_token"]
        deadline = time.monotonic() + PARSED_S
        while not self._has(dag_id, token):
            check()
            if time.monotonic() > deadline:
                raise ConfigError(f"{dag_id} did not load within {PARSED_S:.0f} s; its import errors are in the UI")
            time.sleep(POLL_S)
        self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False}, token)
        about = {"logical_date": datetime.now(UTC).isoformat(), "conf": dict(conf)}
        run = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", about, token)
        return f"{self.address}/dags/{dag_id}/runs/{quote(run['dag_run_id'], safe=':')}"

    def _has(self, dag_id: str, token: str) -> bool:
        try:
            self._call("GET", f"/api/v2/dags/{dag_id}", None, token)
        except _NoSuchThing:
            return False
        return True

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, token: str = "") -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers, method=method)  # noqa: S310
        try:
            with DIRECT.open(request, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            refusal = f"{method} {path}: {error.code} {error.read(2000).decode(errors='replace')}"
            raise _NoSuchThing(refusal) if error.code == 404 else ConfigError(f"Airflow refused {refusal}") from None
        except OSError as error:
            raise ConfigError(f"Airflow did not answer {method} {path}: {error}") from error


class _NoSuchThing(ConfigError):
    """404."""
