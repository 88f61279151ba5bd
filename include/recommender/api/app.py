"""The app: routes, problems, and what every request goes through."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from .edge import OPEN, Edge
from .operation import operation
from .problems import Problem, add_handlers
from .routes import v1
from .service import Service
from .settings import Settings

ABOUT = "Recommendations from the model version that a channel points to."
BEARER = {"type": "http", "scheme": "bearer", "description": "An API key"}


def create(service: Service | None = None) -> Edge:
    """The app of a service; None is that of the environment. Raises ConfigError."""
    service = service or Service.of(Settings.from_environment())

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        service.start()
        end_with_parent()
        if service.settings.config.workers > 1:
            # They share one port: one that accepted before its model is there would refuse what another could answer.
            await asyncio.to_thread(service.wait)
        yield
        service.stop()

    app = FastAPI(title="Recommender", version="1", description=ABOUT, docs_url=None, redoc_url=None, lifespan=running)
    app.router.redirect_slashes = False  # it would send callers, and their keys, where their Host header says
    app.state.service = service
    app.include_router(v1)
    app.include_router(operation)
    add_handlers(app)
    app.openapi = partial(described, app, service.keys is not None)  # type: ignore[method-assign]
    return Edge(app, service)


def end_with_parent() -> None:
    """End a worker whose parent was killed: it would keep the port, and answer from a version that nobody manages."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

        Thread(target=watch, name="parent", daemon=True).start()


def described(app: FastAPI, with_keys: bool) -> dict[str, Any]:
    """The OpenAPI document, with what `Edge` adds: problems, and keys where they are asked for."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, problems = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
        found["components"]["schemas"].update(problems["$defs"])
        if with_keys:
            found["components"]["securitySchemes"] = {"key": BEARER}
            for path in found["paths"].keys() - OPEN:
                for route in found["paths"][path].values():
                    route["security"] = [{"key": []}]
        app.openapi_schema = found
    return app.openapi_schema
