"""Health probe of a container: `python -m deploy.health scheduler` asks the API server what it knows of a component.

The API server reads each component's heartbeat from the database. Asking it costs a Python start without Airflow;
`airflow jobs check` in each container would import Airflow for every probe.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
TIMEOUT_S = 5


def address(environment: dict[str, str]) -> str:
    """Where the health of all components is told, beside the execution API that every component is configured with."""
    execution = environment.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://localhost:8080/execution/")
    return urllib.parse.urljoin(execution, "/api/v2/monitor/health")


def verdict(health: dict[str, Any], component: str) -> str:
    """`healthy`, `unhealthy`, or `never seen` for a component without any heartbeat."""
    return str(health.get(component, {}).get("status") or "never seen")


def probe(url: str, component: str) -> str:
    """The verdict, or why there is none."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 an address of ours
            return verdict(json.load(response), component)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        return f"no answer from {url}: {error}"


def main(arguments: list[str] | None = None) -> int:
    """Print the verdict. Returns 0 for healthy, else 1."""
    parser = argparse.ArgumentParser(description="Probe the health of one Airflow component.")
    parser.add_argument("component", choices=COMPONENTS)
    component = parser.parse_args(arguments).component
    found = probe(address(dict(os.environ)), component)
    print(f"{component}: {found}")
    return 0 if found == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main())
