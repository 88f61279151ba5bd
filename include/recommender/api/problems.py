"""Answers for what went wrong: application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ..errors import ConfigError, NotFound
from .audience import NotReady
from .compute import Busy

MEDIA_TYPE = "application/problem+json"
RETRY_S = 1
MOST_ERRORS = 20
SHOWN_CHARS = 200


class Wrong(BaseModel):
    """One thing that is wrong with a request."""

    where: str
    problem: str


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[Wrong] | None = None


class TooSlow(Exception):
    """The answer did not come in time."""


def possible(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}


def problem_bytes(
    status: HTTPStatus, detail: str, request_id: str | None = None, errors: Sequence[Wrong] | None = None
) -> bytes:
    """A problem as JSON in ASCII: what the caller sent may be no text that UTF-8 can write."""
    found = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    if request_id is not None:
        found["request_id"] = request_id
    if errors is not None:
        found["errors"] = [error.model_dump() for error in errors]  # type: ignore[assignment]
    return json.dumps(found).encode("ascii")


def problem(
    request: Request,
    status: HTTPStatus,
    detail: str,
    *,
    errors: Sequence[Wrong] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as the answer to a request."""
    body = problem_bytes(status, detail, getattr(request.state, "request_id", None), errors)
    return Response(body, status, headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""
    retry = {"Retry-After": str(RETRY_S)}

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = [Wrong(where=_where(each["loc"]), problem=_shown(each)) for each in error.errors()[:MOST_ERRORS]]
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not as documented.", errors=found)

    @app.exception_handler(ConfigError)
    async def out_of_bounds(request: Request, error: ConfigError) -> Response:
        found = [Wrong(where="request", problem=each) for each in error.problems[:MOST_ERRORS]]
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not as documented.", errors=found)

    @app.exception_handler(NotFound)
    async def missing(request: Request, error: NotFound) -> Response:
        return problem(request, HTTPStatus.NOT_FOUND, str(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return problem(request, HTTPStatus(error.status_code), str(error.detail), headers=error.headers)

    async def again(reason: str, detail: str, request: Request, _error: Exception) -> Response:
        request.state.refused = reason
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=retry)

    for kind, reason, detail in (
        (Busy, "busy", "Too many requests wait. Try again."),
        (TooSlow, "timeout", "The answer did not come in time. Try again."),
        (NotReady, "not_ready", "No version is loaded yet. The log and /v1/model say why."),
    ):
        app.add_exception_handler(kind, partial(again, reason, detail))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _error: Exception) -> Response:
        detail = "This is a fault of the server. Its log has the cause under the request_id."
        return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _where(location: Sequence[Any]) -> str:
    return ".".join(str(part)[:SHOWN_CHARS] for part in location)


def _shown(error: Mapping[str, Any]) -> str:
    given = error.get("input")
    plain = isinstance(given, (str, int, float, bool))
    return f"{error['msg']}{f', not {given!r}'[:SHOWN_CHARS] if plain else ''}"
