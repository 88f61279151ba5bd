"""The routes of version 1: lists, reasons, and the model that answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Response
from fastapi import Request as HttpRequest

from ..serving import List, Request
from .edge import Note
from .problems import possible
from .query import described, no_query, query_of
from .service import Service
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
    ModelAnswer,
    RankBody,
    UserQuery,
    WhyAnswer,
    WhyBody,
    list_fields,
)

MANY = frozenset({"exclude", "allow"})  # query parameters that may come several times
ALWAYS = possible(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
MISSING, FILTERS = possible(HTTPStatus.NOT_FOUND), described(FilterQuery)
v1 = APIRouter(prefix="/v1", responses=ALWAYS)
User = Annotated[Id, Path(examples=[EXAMPLE_USER])]
Item = Annotated[Id, Path(examples=[EXAMPLE_ITEMS[0]])]


def service_of(http: HttpRequest) -> Service:
    """The service of the app. Not a dependency of FastAPI: each of those costs as much as the rest of a route."""
    service: Service = http.app.state.service
    return service


def _note(http: HttpRequest) -> Note:
    note: Note = http.state.note
    return note


def _json(fields: Mapping[str, Any]) -> Response:
    """An answer that is not checked once more: `response_model` describes it, and tests compare the two."""
    return Response(msgspec.json.encode(fields), media_type="application/json")


async def _list(http: HttpRequest, request: Request) -> Response:
    ((channel, found),) = await service_of(http).lists([request])
    return _answer(http, channel, request, found)


def _answer(http: HttpRequest, channel: str, request: Request | None, found: List) -> Response:
    note = _note(http)
    note.fields |= _logged(service_of(http), channel, request, found)
    return _json({"request_id": note.request_id, **list_fields(channel, found)})


def _logged(service: Service, channel: str, request: Request | None, found: List) -> dict[str, Any]:
    """What the log says of a list, so that an experiment can be judged from it."""
    about = {"channel": channel, "model_id": found.model_id, "source": found.source}
    if not service.settings.config.log_lists:
        return about
    user = {"user": request.user, "offset": request.offset} if request is not None else {}
    return {**about, **user, "items": [row.item for row in found.items]}


@v1.get("/users/{user:path}/recommendations", response_model=ListAnswer, openapi_extra=described(UserQuery))
async def for_user(http: HttpRequest, user: User) -> Response:
    """The best items for a user. Who is not known gets what is in demand."""
    return await _list(http, query_of(http, UserQuery, MANY).request(user))


@v1.post("/recommendations", response_model=ListAnswer)
async def for_history(http: HttpRequest, body: ListBody) -> Response:
    """The best items for items just seen, for a stored user, or for both together."""
    no_query(http)
    return await _list(http, body.request())


@v1.post("/recommendations/bulk", response_model=BulkAnswer)
async def for_many(http: HttpRequest, body: BulkBody) -> Response:
    """Many lists at once, in the order of the requests."""
    no_query(http)
    service, note, requests = service_of(http), _note(http), [each.request() for each in body.requests]
    answers = await service.lists(requests)
    note.fields["lists"] = [
        _logged(service, channel, request, found) for request, (channel, found) in zip(requests, answers, strict=True)
    ]
    lists = [list_fields(channel, found) for channel, found in answers]
    return _json({"request_id": note.request_id, "lists": lists})


@v1.post("/rank", response_model=ListAnswer)
async def rank(http: HttpRequest, body: RankBody) -> Response:
    """A given list in the order of the scores, each item once."""
    no_query(http)
    service, request = service_of(http), Request(**body.whose())
    loaded = service.audience.loaded_for(body.user)
    found = await service.call(partial(loaded.recommender.rank, request, body.items))
    return _answer(http, loaded.channel, request, found)


@v1.get("/items/{item:path}/similar", responses=MISSING, response_model=ListAnswer, openapi_extra=FILTERS)
async def similar(http: HttpRequest, item: Item) -> Response:
    """The items most similar to another; scores are cosines."""
    service, filters = service_of(http), query_of(http, FilterQuery, MANY).filters()
    loaded = service.audience.loaded_for(None)
    found = await service.call(partial(loaded.recommender.similar, item, filters))
    _note(http).fields["item"] = item
    return _answer(http, loaded.channel, None, found)


@v1.get("/trending", response_model=ListAnswer, openapi_extra=FILTERS)
async def trending(http: HttpRequest) -> Response:
    """What is in demand now, whoever asks."""
    return await _list(http, Request(**query_of(http, FilterQuery, MANY).fields()))


@v1.post("/why", responses=MISSING, response_model=WhyAnswer)
async def why(http: HttpRequest, body: WhyBody) -> Response:
    """Which items of the history speak for an item; their parts add up to its score."""
    no_query(http)
    service, note, request = service_of(http), _note(http), Request(**body.whose())
    loaded = service.audience.loaded_for(body.user)
    found = await service.call(partial(loaded.recommender.why, request, body.item))
    about = {
        "channel": loaded.channel,
        "model_id": loaded.manifest.model_id,
        "as_of": loaded.manifest.as_of,
        "source": found.source,
    }
    note.fields |= about
    reasons = {"item": body.item, "reasons": found.reasons, "unknown_items": found.unknown_items}
    return _json({"request_id": note.request_id, **about, **reasons})


@v1.get("/model", response_model=ModelAnswer)
async def model(http: HttpRequest) -> Response:
    """The versions that answer, and what is wrong with a channel."""
    no_query(http)
    audience = service_of(http).audience
    shares = [1 - audience.share, audience.share]
    channels = [ChannelAnswer.of(live, share) for live, share in zip(audience.lives, shares, strict=False)]
    answer = ModelAnswer(request_id=_note(http).request_id, channels=channels)
    return Response(answer.model_dump_json(), media_type="application/json")
