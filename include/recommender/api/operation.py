"""The routes for those who operate the API: is it alive, is it ready, what has it measured."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest

from .audience import NotReady
from .problems import possible
from .query import no_query
from .routes import service_of
from .wire import ReadyAnswer, ReadyChannel, StateAnswer

operation = APIRouter(responses=possible(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY))
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@operation.get("/healthz")
async def healthz(http: HttpRequest) -> StateAnswer:
    """Whether the process runs."""
    no_query(http)
    return StateAnswer(status="ok")


@operation.get("/readyz", responses=possible(HTTPStatus.SERVICE_UNAVAILABLE))
async def readyz(http: HttpRequest) -> ReadyAnswer:
    """Whether a version is verified, loaded and warm."""
    no_query(http)
    audience = service_of(http).audience
    if audience.main.current is None:
        raise NotReady
    channels = [
        ReadyChannel(
            channel=live.channel,
            model_id=live.current.manifest.model_id if live.current else None,
            following=live.problem is None,
        )
        for live in audience.lives
    ]
    return ReadyAnswer(status="ready", channels=channels)


@operation.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **possible(HTTPStatus.UNAUTHORIZED)},
    response_class=Response,
)
async def metrics(http: HttpRequest) -> Response:
    """Metrics for Prometheus."""
    no_query(http)
    return Response(service_of(http).page(), media_type=METRICS_TYPE)
