"""The API in this process, on versions in a real S3 server."""

import io
import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest
import uvicorn

from include.recommender.api.access_log import AccessLog
from include.recommender.api.app import create
from include.recommender.api.guarded_http import GuardedHttp
from include.recommender.api.keys import Keys, add_key
from include.recommender.api.service import Service
from include.recommender.api.settings import Settings
from include.recommender.parameters.of_api import ApiConfig
from include.recommender.serving import Recommender
from include.recommender.storage.cache import FOLDER

from ..registry import makers
from .published import publish


@pytest.fixture
def registry(workspace):
    return workspace.registry


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "api" / FOLDER


@dataclass
class Api:
    """A client of the API and what stands behind it."""

    client: httpx.Client
    service: Service
    recommender: Recommender
    server: uvicorn.Server
    access_log: AccessLog
    log: io.BytesIO

    def lines(self):
        """The access log."""
        return [json.loads(line) for line in self.text().splitlines()]

    def text(self):
        """The same as text."""
        self.access_log.flush()
        return self.log.getvalue().decode()


@pytest.fixture
def served(registry):
    """M1 is in production."""
    found = publish(registry, makers.M1)
    makers.move(registry, makers.M1)
    return found


@pytest.fixture
def api(registry, served, cache, tmp_path):
    """Start the API with settings; it ends with the test."""
    with ExitStack() as stack:

        def start(*, keys=None, wait=True, **settings):
            service = Service.of(Settings("", cache, ApiConfig(poll_s=0.1, **settings)), registry)
            service.keys = keys
            app = create(service)
            log = io.BytesIO()
            app.access_log = AccessLog(log.write)
            server = stack.enter_context(listening(app))
            address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            client = stack.enter_context(httpx.Client(base_url=address, timeout=30))
            if wait:
                until(lambda: client.get("/readyz").status_code == 200)
            return Api(client, service, Recommender(served), server, app.access_log, log)

        yield start


@contextmanager
def listening(app):
    """The app behind a real server, in a thread; yield the server."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, loop="uvloop", http=GuardedHttp, ws="none", log_config=None)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    yield server
    server.should_exit = True
    thread.join()


@pytest.fixture
def keys(tmp_path):
    """A file with one key, and the key."""
    path = tmp_path / "keys.json"
    key = add_key(path, "shop")
    return Keys(path), key


def until(true, seconds=30.0):
    """Wait until something is true, and fail otherwise."""
    from time import monotonic, sleep

    end = monotonic() + seconds
    while not true():
        assert monotonic() < end, "it never became true"
        sleep(0.01)
