"""`python -m include.recommender.api`: the server. Its settings are variables RECOMMENDER_API_*; --help lists them."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import uvicorn

from ..errors import RecommenderError
from ..parameters import parameters_of
from ..parameters.of_api import ApiConfig
from .guarded_http import HEAD_S, GuardedHttp
from .metrics import MULTIPROCESS
from .service import Service
from .settings import PREFIX, Settings

HOST, PORT = "127.0.0.1", 8090
GRACE_S = 10
START_S = 300  # for a worker to load; until then uvicorn would take it for dead
OPEN_FILES = 65_536
# To stderr: stdout is the access log, one JSON object a line.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m include.recommender.api",
        description="Recommendations over HTTP, from the version that a channel of RECOMMENDER_ROOT points to.",
        epilog=_variables(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default=HOST, help="address to listen on (%(default)s: this machine only)")
    parser.add_argument("--port", type=int, default=PORT, help="%(default)s")
    given = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
        Service.of(settings)  # whatever is wrong is better said once than by every worker
    except RecommenderError as error:
        print(error, file=sys.stderr)
        return 1
    serve(settings, given.host, given.port)
    return 0


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until the process is ended. Each worker reads the settings from the environment again."""
    _raise_open_files()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    workers = settings.config.workers
    with ExitStack() as stack:
        if workers > 1:
            os.environ[MULTIPROCESS] = stack.enter_context(tempfile.TemporaryDirectory(prefix="recommender-metrics-"))
        uvicorn.run(
            "include.recommender.api.app:create",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http=GuardedHttp,
            ws="none",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=4_096,
            timeout_keep_alive=int(HEAD_S),
            timeout_worker_healthcheck=START_S,
            timeout_graceful_shutdown=GRACE_S,
            log_config=LOGGING,
        )


def _raise_open_files() -> None:
    """Each idle connection is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _variables() -> str:
    lines = [
        f"  {PREFIX}{each.name.upper()}\n      {each.text} Default: {each.plain_default}."
        for each in parameters_of(ApiConfig)
    ]
    return "variables of the environment, besides RECOMMENDER_ROOT and RECOMMENDER_CACHE:\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
