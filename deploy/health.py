"""Health probe of a container: `python -m deploy.health scheduler` asks the API server what it knows of a component.

The API server reads each component's heartbeat from the database. Asking it costs a Python start without Airflow;
`airflow jobs check` in each container would import Airflow for every probe.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.parse
import urllib.request
from typing import Any

from .stack import COMPONENTS, HEALTH, UI_PORT

TIMEOUT_S = 5
# The parts of a stack talk without a proxy, whatever the environment says.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def address(environment: dict[str, str]) -> str:
    """The address of the health of all components, beside the execution API that every component is configured with."""
    default = f"http://localhost:{UI_PORT}/execution/"
    return urllib.parse.urljoin(environment.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", default), HEALTH)


def verdicts(url: str) -> dict[str, str]:
    """Component -> `healthy`, `unhealthy`, or `never seen` where it has no heartbeat yet.

    Raises
    ------
    OSError, ValueError
        There is no answer, or none in JSON.
    """
    with DIRECT.open(url, timeout=TIMEOUT_S) as response:
        health: dict[str, Any] = json.load(response)
    return {name: str(health.get(name, {}).get("status") or "never seen") for name in COMPONENTS}


def probe(url: str, component: str) -> str:
    """The verdict, or why there is none."""
    try:
        return verdicts(url)[component]
    except (OSError, ValueError) as error:
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
