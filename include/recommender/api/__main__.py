"""`python -m include.recommender.api`: the server. Its settings are variables RECOMMENDER_API_*; --help lists them."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from ..errors import RecommenderError
from ..parameters import parameters_of
from ..parameters.of_api import ApiConfig
from .guarded_http import GuardedHttp
from .keys import read_keys
from .metrics import MULTIPROCESS
from .settings import PREFIX, Settings

HOST, PORT = "127.0.0.1", 8090
GRACE_S = 10
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
        if settings.config.keys_file is not None:
            read_keys(Path(settings.config.keys_file))
    except RecommenderError as error:
        print(error, file=sys.stderr)
        return 1
    serve(settings, given.host, given.port)
    return 0


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until the process is ended. Each worker reads the settings from the environment again."""
    # Each idle connection is an open file.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
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
            timeout_keep_alive=20,
            timeout_graceful_shutdown=GRACE_S,
            log_config=LOGGING,
        )


def _variables() -> str:
    lines = [
        f"  {PREFIX}{each.name.upper()}\n      {each.text} Default: {each.plain_default}."
        for each in parameters_of(ApiConfig)
    ]
    return "variables of the environment, besides RECOMMENDER_ROOT and RECOMMENDER_CACHE:\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
