"""Health probe of the online API: `python -m deploy.api_health /readyz` in its container. Exit status 0 is well.

/healthz says that the process runs, /readyz that it can answer: a version is verified, loaded and warm.
"""

from __future__ import annotations

import argparse
import http.client
import sys
from collections.abc import Sequence

from .stack import API_PORT

TIMEOUT_S = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answer; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.api_health", description="Probe the online API.")
    parser.add_argument("path", choices=["/healthz", "/readyz"])
    parser.add_argument("--port", type=int, default=API_PORT, help="%(default)s")
    given = parser.parse_args(arguments)
    # Not urllib: it would ask a proxy of the environment for this address.
    connection = http.client.HTTPConnection("127.0.0.1", given.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", given.path)
        answer = connection.getresponse()
        print(answer.status, answer.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer at port {given.port}: {error}")
        return 1
    return 0 if answer.status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    sys.exit(main())
