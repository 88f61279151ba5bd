"""The routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Response
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp

from ..serving import List, Request
from .audience import NotReady
from .edge import Edge, Note
from .problems import MEDIA_TYPE, Problem, add_handlers
from .service import Service
from .settings import Settings
from .wire import (
    EXAMPLE_ITEMS,
    EXAMPLE_USER,
    BulkAnswer,
    BulkBody,
    ChannelAnswer,
    FilterQuery,
    Id,
    ListAnswer,
    ListBody,
    ListOf,
    ModelAnswer,
    RankBody,
    ReadyAnswer,
    ReadyChannel,
    ReasonAnswer,
    StateAnswer,
    UserQuery,
    WhyAnswer,
    WhyBody,
)

MANY = frozenset({"exclude", "allow"})  # query parameters that may come several times
ABOUT = "Recommendations from the model version that a channel points to."


async def once(request: HttpRequest) -> None:
    """Refuse a query parameter that comes twice: only one of them would count."""
    names = [name for name, _ in request.query_params.multi_items() if name not in MANY]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RequestValidationError([_error(name, "comes several times, expected once") for name in twice])


async def no_query(request: HttpRequest) -> None:
    """Refuse query parameters where there are none."""
    if request.query_params:
        raise RequestValidationError([_error(name, "there is no such parameter") for name in request.query_params])


def _error(name: str, message: str) -> dict[str, Any]:
    return {"type": "value_error", "loc": ("query", name), "msg": message, "input": None}


def _problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}


ALWAYS = _problems(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
MISSING = _problems(HTTPStatus.NOT_FOUND)
BEARER = Depends(HTTPBearer(auto_error=False, description="An API key; `Edge` checks it before anything is read."))
v1 = APIRouter(prefix="/v1", responses=ALWAYS, dependencies=[BEARER])
User = Annotated[Id, Path(examples=[EXAMPLE_USER])]
Item = Annotated[Id, Path(examples=[EXAMPLE_ITEMS[0]])]


async def _service(request: HttpRequest) -> Service:
    service: Service = request.app.state.service
    return service


async def _note(request: HttpRequest) -> Note:
    note: Note = request.state.note
    return note


Serving = Annotated[Service, Depends(_service)]
Noting = Annotated[Note, Depends(_note)]


def _json(answer: BaseModel) -> Response:
    """An answer that is not checked once more: it was made by its own class."""
    return Response(answer.model_dump_json(), media_type="application/json")


async def _list(service: Service, note: Note, request: Request) -> Response:
    ((channel, found),) = await service.lists([request])
    return _answer(service, note, channel, request, found)


def _answer(service: Service, note: Note, channel: str, request: Request | None, found: List) -> Response:
    note.fields |= _logged(service, channel, request, found)
    return _json(ListAnswer.model_construct(request_id=note.request_id, **ListOf.of(channel, found)))


def _logged(service: Service, channel: str, request: Request | None, found: List) -> dict[str, Any]:
    """What the log says of a list, so that an experiment can be judged from it."""
    about = {"channel": channel, "model_id": found.model_id, "source": found.source.value}
    if not service.settings.config.log_lists:
        return about
    user = {"user": request.user, "offset": request.offset} if request is not None else {}
    return {**about, **user, "items": [row.item for row in found.items]}


@v1.get("/users/{user:path}/recommendations", dependencies=[Depends(once)], response_model=ListAnswer)
async def for_user(service: Serving, note: Noting, user: User, query: Annotated[UserQuery, Query()]) -> Response:
    """The best items for a user. Who is not known gets what is in demand."""
    return await _list(service, note, query.request(user))


@v1.post("/recommendations", dependencies=[Depends(no_query)], response_model=ListAnswer)
async def for_history(service: Serving, note: Noting, body: ListBody) -> Response:
    """The best items for items just seen, for a stored user, or for both together."""
    return await _list(service, note, body.request())


@v1.post("/recommendations/bulk", dependencies=[Depends(no_query)], response_model=BulkAnswer)
async def for_many(service: Serving, note: Noting, body: BulkBody) -> Response:
    """Many lists at once, in the order of the requests."""
    requests = [each.request() for each in body.requests]
    answers = await service.lists(requests)
    logged = [
        _logged(service, channel, request, found) for request, (channel, found) in zip(requests, answers, strict=True)
    ]
    note.fields["lists"] = logged
    lists = [ListOf.model_construct(**ListOf.of(channel, found)) for channel, found in answers]
    return _json(BulkAnswer.model_construct(request_id=note.request_id, lists=lists))


@v1.post("/rank", dependencies=[Depends(no_query)], response_model=ListAnswer)
async def rank(service: Serving, note: Noting, body: RankBody) -> Response:
    """A given list in the order of the scores, each item once."""
    request, loaded = Request(**body.whose()), service.audience.loaded_for(body.user)
    found = await service.call(partial(loaded.recommender.rank, request, body.items))
    return _answer(service, note, loaded.channel, request, found)


@v1.get("/items/{item:path}/similar", responses=MISSING, dependencies=[Depends(once)], response_model=ListAnswer)
async def similar(service: Serving, note: Noting, item: Item, query: Annotated[FilterQuery, Query()]) -> Response:
    """The items most similar to another; scores are cosines."""
    filters, loaded = query.filters(), service.audience.loaded_for(None)
    found = await service.call(partial(loaded.recommender.similar, item, filters))
    note.fields["item"] = item
    return _answer(service, note, loaded.channel, None, found)


@v1.get("/trending", dependencies=[Depends(once)], response_model=ListAnswer)
async def trending(service: Serving, note: Noting, query: Annotated[FilterQuery, Query()]) -> Response:
    """What is in demand now, whoever asks."""
    return await _list(service, note, Request(**query.fields()))


@v1.post("/why", responses=MISSING, dependencies=[Depends(no_query)], response_model=WhyAnswer)
async def why(service: Serving, note: Noting, body: WhyBody) -> Response:
    """Which items of the history speak for an item; their parts add up to its score."""
    request, loaded = Request(**body.whose()), service.audience.loaded_for(body.user)
    found = await service.call(partial(loaded.recommender.why, request, body.item))
    manifest = loaded.manifest
    note.fields |= {"channel": loaded.channel, "model_id": manifest.model_id, "source": found.source.value}
    return _json(
        WhyAnswer.model_construct(
            request_id=note.request_id,
            channel=loaded.channel,
            model_id=manifest.model_id,
            as_of=manifest.as_of,
            source=found.source,
            item=body.item,
            reasons=[ReasonAnswer.of(reason) for reason in found.reasons],
            unknown_items=list(found.unknown_items),
        )
    )


@v1.get("/model", dependencies=[Depends(no_query)], response_model=ModelAnswer)
async def model(service: Serving, note: Noting) -> Response:
    """The versions that answer, and what is wrong with a channel."""
    audience = service.audience
    shares = [1 - audience.share, audience.share]
    channels = [ChannelAnswer.of(live, share) for live, share in zip(audience.lives, shares, strict=False)]
    return _json(ModelAnswer.model_construct(request_id=note.request_id, channels=channels))


ops = APIRouter(responses=_problems(HTTPStatus.UNPROCESSABLE_ENTITY))


@ops.get("/healthz", dependencies=[Depends(no_query)])
async def healthz() -> StateAnswer:
    """Whether the process runs."""
    return StateAnswer(status="ok")


@ops.get("/readyz", responses=_problems(HTTPStatus.SERVICE_UNAVAILABLE), dependencies=[Depends(no_query)])
async def readyz(service: Serving) -> ReadyAnswer:
    """Whether a version is verified, loaded and warm."""
    if service.audience.main.current is None:
        raise NotReady
    channels = [
        ReadyChannel(
            channel=live.channel,
            model_id=live.current.manifest.model_id if live.current else None,
            following=live.problem is None,
        )
        for live in service.audience.lives
    ]
    return ReadyAnswer(status="ready", channels=channels)


@ops.get("/metrics", responses=_problems(HTTPStatus.UNAUTHORIZED), dependencies=[BEARER, Depends(no_query)])
async def metrics(service: Serving) -> Response:
    """Metrics for Prometheus."""
    service.metrics.queue.set(len(service.compute))
    return Response(service.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the schema of problems."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = found.setdefault("components", {}).setdefault("schemas", {})
        _, problems = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
        schemas.update(problems["$defs"])
        app.openapi_schema = found
    return app.openapi_schema


def create(service: Service | None = None) -> ASGIApp:
    """The app of a service; None is that of the environment. Raises ConfigError."""
    service = service or Service.of(Settings.from_environment())

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(title="Recommender", version="1", description=ABOUT, docs_url=None, redoc_url=None, lifespan=running)
    app.state.service = service
    app.include_router(v1)
    app.include_router(ops)
    add_handlers(app)
    app.openapi = partial(_described, app)  # type: ignore[method-assign]
    return Edge(app, service)
