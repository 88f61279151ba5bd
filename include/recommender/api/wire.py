"""What comes and goes over HTTP. An unknown field or parameter is refused, never ignored."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from ..data.layouts import MAX_ID_BYTES
from ..data.numerals import MAX_RATING
from ..parameters.definition import MOST_DAYS
from ..parameters.of_batch import NEW_ITEM_DAYS
from ..serving import Event, Filters, List, Request, Source
from ..serving.live import Live
from ..serving.request import MOST_EVENTS, MOST_FILTERED, MOST_ITEMS

MOST_TOGETHER = 100  # requests of one bulk
MOST_IN_QUERY = 100  # ids; longer lists go into a body
OF_NUMBERS = ("k", "offset", "variety", "new_share", "new_item_days")  # fields of `Filters`
EXAMPLE_USER = "A2SUAM1J3GNN3B"
EXAMPLE_ITEMS: list[JsonValue] = ["B00000J0BS", "B00004T8R2"]


def _is_text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no text") from None
    return name


def _whole(number: object) -> object:
    """JSON has one kind of number: 5.0 is a whole one."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_BYTES), AfterValidator(_is_text)]
K = Annotated[int, Field(ge=1, le=MOST_ITEMS // 2, description="items of the list"), BeforeValidator(_whole)]
Offset = Annotated[
    int, Field(ge=0, le=MOST_ITEMS // 2, description="best items that are passed over"), BeforeValidator(_whole)
]
Excluded = Annotated[list[Id], Field(max_length=MOST_FILTERED, description="ids that are left out")]
Allowed = Annotated[
    list[Id] | None, Field(max_length=MOST_FILTERED, description="ids that alone may come; default: all")
]
Variety = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="how much the list avoids items like those before")
]
NewShare = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="share of the list that new items have at least")
]
NewItemDays = Annotated[
    int,
    Field(
        ge=1, le=MOST_DAYS, description="new items had their first interaction in the last so many days of the version"
    ),
    BeforeValidator(_whole),
]
Seen = Annotated[bool, Field(description="whether items of the history may come again")]
User = Annotated[Id | None, Field(description="an id of the reviews; an unknown one has no stored history")]


class Asked(BaseModel):
    """The base of everything that is asked."""

    model_config = ConfigDict(extra="forbid")


class FilterQuery(Asked):
    """Which part of the best items a list is."""

    k: K = 10
    offset: Offset = 0
    exclude: Annotated[Excluded, Field(max_length=MOST_IN_QUERY)] = []
    allow: Annotated[Allowed, Field(max_length=MOST_IN_QUERY)] = None
    variety: Variety = 0.0
    new_share: NewShare = 0.0
    new_item_days: NewItemDays = NEW_ITEM_DAYS

    def filters(self) -> Filters:
        """As the library takes them. Raises ConfigError."""
        return Filters(**self.fields())

    def fields(self) -> dict[str, Any]:
        """The fields of `Filters`."""
        allow = None if self.allow is None else frozenset(self.allow)
        return {**_of(self, *OF_NUMBERS), "exclude": frozenset(self.exclude), "allow": allow}


class UserQuery(FilterQuery):
    """A list for a user."""

    seen: Seen = False

    def request(self, user: str) -> Request:
        """As the library takes it. Raises ConfigError."""
        return Request(user=user, seen=self.seen, **self.fields())


class Body(BaseModel):
    """The base of every body: strict, so that no text counts as a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _written_out(value: object) -> object:
    """Refuse what pydantic would take for seconds since 1970."""
    if (isinstance(value, str) and not re.match(r"\d{4}-\d{2}-\d{2}", value)) or isinstance(value, (int, float)):
        raise ValueError("expected a time as in 2018-09-30T12:00:00Z")
    return value


Time = Annotated[AwareDatetime, Field(strict=False, description="with its zone"), BeforeValidator(_written_out)]


class EventBody(Body):
    """An item just seen. What is not given counts as: now, without an opinion, and not known to be verified."""

    item: Id
    time: Time | None = None
    rating: Annotated[float | None, Field(ge=0, le=MAX_RATING, allow_inf_nan=False, description="stars")] = None
    verified: bool | None = None


class Somebody(Body):
    """Whose history counts: that of a stored user, items just seen, or both together."""

    user: User = None
    events: Annotated[list[EventBody], Field(max_length=MOST_EVENTS, description="join the stored history")] = []

    def whose(self) -> dict[str, Any]:
        """The fields of `Request`."""
        return {"user": self.user, "events": tuple(Event(**vars(event)) for event in self.events)}


class ListBody(Somebody):
    """A list for a stored user, for items just seen, or for both together; without either, what is in demand."""

    k: K = 10
    offset: Offset = 0
    exclude: Excluded = []
    allow: Allowed = None
    variety: Variety = 0.0
    new_share: NewShare = 0.0
    new_item_days: NewItemDays = NEW_ITEM_DAYS
    seen: Seen = False

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user": EXAMPLE_USER, "events": [{"item": EXAMPLE_ITEMS[0]}], "k": 5}]}
    )

    def request(self) -> Request:
        """As the library takes it. Raises ConfigError."""
        allow = None if self.allow is None else frozenset(self.allow)
        filters = {**_of(self, *OF_NUMBERS, "seen"), "exclude": frozenset(self.exclude), "allow": allow}
        return Request(**self.whose(), **filters)


class BulkBody(Body):
    """Many lists at once."""

    requests: Annotated[list[ListBody], Field(min_length=1, max_length=MOST_TOGETHER)]

    @model_validator(mode="after")
    def _bounded(self) -> BulkBody:
        """All ids of a bulk are read before anything else is answered."""
        n_ids = sum(len(each.events) + len(each.exclude) + len(each.allow or ()) for each in self.requests)
        if n_ids > MOST_FILTERED:
            raise ValueError(f"{n_ids:,} events and ids in all requests together, expected up to {MOST_FILTERED:,}")
        return self

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"requests": [{"user": EXAMPLE_USER}, {"events": [{"item": EXAMPLE_ITEMS[0]}]}]}]
        }
    )


class RankBody(Somebody):
    """A given list, to be brought into the order of the scores."""

    items: Annotated[list[Id], Field(min_length=1, max_length=MOST_ITEMS)]

    model_config = ConfigDict(json_schema_extra={"examples": [{"user": EXAMPLE_USER, "items": EXAMPLE_ITEMS}]})


class WhyBody(Somebody):
    """An item whose score is to be explained."""

    item: Id

    model_config = ConfigDict(json_schema_extra={"examples": [{"user": EXAMPLE_USER, "item": EXAMPLE_ITEMS[0]}]})


class ItemAnswer(BaseModel):
    """One item; scores order the items of one list, and are comparable only within it."""

    item: str
    score: float


class ListOf(BaseModel):
    """A list, and how it came about.

    source: known_user (the stored history), fold_in (items just seen, alone or with a stored history), prior (nothing
    is known, so what is in demand), item (items like another)
    """

    channel: str
    model_id: str
    as_of: datetime
    source: Source
    items: list[ItemAnswer]
    unknown_items: Annotated[
        list[str], Field(description="ids of events, or of items to rank, that the version does not know")
    ]


def list_fields(channel: str, found: List) -> dict[str, Any]:
    """The fields of `ListOf`, for JSON. A class of pydantic for each item would cost more than the list."""
    return {
        "channel": channel,
        "model_id": found.model_id,
        "as_of": found.as_of,
        "source": found.source,
        "items": found.items,
        "unknown_items": found.unknown_items,
    }


class ListAnswer(ListOf):
    """The answer with one list."""

    request_id: str


class BulkAnswer(BaseModel):
    """The answer with a list for each request, in their order."""

    request_id: str
    lists: list[ListOf]


class ReasonAnswer(BaseModel):
    """An item of the history and its part of the score; all parts add up to the score."""

    item: str
    part: float


class WhyAnswer(BaseModel):
    """Which items of the history speak for an item, the strongest first; negative parts speak against it."""

    request_id: str
    channel: str
    model_id: str
    as_of: datetime
    source: Source
    item: str
    reasons: list[ReasonAnswer]
    unknown_items: list[str]


class ChannelAnswer(BaseModel):
    """A channel, and the version that answers for it.

    problem: why the channel cannot be followed; the version before it still answers
    """

    channel: str
    share: float
    model_id: str | None = None
    as_of: datetime | None = None
    known_until: datetime | None = None
    snapshot: str | None = None
    users: int | None = None
    items: int | None = None
    loaded_at: datetime | None = None
    problem: str | None = None

    @classmethod
    def of(cls, live: Live, share: float) -> ChannelAnswer:
        """The state of a channel that answers a share of the users."""
        loaded = live.current
        if loaded is None:
            return cls(channel=live.channel, share=share, problem=live.problem)
        version, manifest = loaded.recommender.version, loaded.manifest
        return cls(
            channel=live.channel,
            share=share,
            model_id=manifest.model_id,
            as_of=manifest.as_of,
            known_until=manifest.known_until,
            snapshot=manifest.snapshot,
            users=len(version.users),
            items=len(version.items),
            loaded_at=datetime.fromtimestamp(loaded.since, manifest.as_of.tzinfo),
            problem=live.problem,
        )


class ModelAnswer(BaseModel):
    """The versions that answer."""

    request_id: str
    channels: list[ChannelAnswer]


class StateAnswer(BaseModel):
    """Whether a server is well."""

    status: str


class ReadyChannel(BaseModel):
    """A channel; `following` is false while it cannot be read or its version is broken."""

    channel: str
    model_id: str | None
    following: bool


class ReadyAnswer(BaseModel):
    """A server that answers."""

    status: str
    channels: list[ReadyChannel]


def _of(found: BaseModel, *names: str) -> dict[str, Any]:
    return {name: getattr(found, name) for name in names}
