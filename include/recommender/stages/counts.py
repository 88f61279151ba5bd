"""What stages rely on of each other's counts: checked once, when a manifest is read. A stage may count more."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ..storage.documents import Count, Instant

# A name that becomes part of a file name.
Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_-]{0,99}\Z")]
Day = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
ModelId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")]
Year = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}\Z")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
# Of a prior: beyond any bound of the form, and far from what overflows.
Factor = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class Resolved(msgspec.Struct):
    """Of resolve_snapshot: the snapshot's date, and how much it holds."""

    snapshot: Day
    files: Count
    bytes: Count


class Ends(msgspec.Struct, forbid_unknown_fields=True):
    """Oldest and newest review without the few outermost, and without twice as many; None where there are too few."""

    first_s: Instant | None
    last_s: Instant | None
    deep_first_s: Instant | None
    deep_last_s: Instant | None

    def __post_init__(self) -> None:
        if (self.deep_first_s is None) != (self.deep_last_s is None) or (self.first_s is None) != (self.last_s is None):
            raise ValueError("ends: expected both ends or none")


class ByLayout(msgspec.Struct, forbid_unknown_fields=True):
    """Users of the layouts of 2014 and 2018, of that of 2023, and of both."""

    older: Count
    newer: Count
    both: Count


class Parsed(msgspec.Struct):
    """Of parse_reviews: lines and reviews, and what the next snapshot is compared with."""

    lines: Count
    blank: Count
    bad: Count
    reviews: Annotated[int, msgspec.Meta(ge=1)]
    users: Count
    items: Count
    first_s: Instant
    last_s: Instant
    verified: Count
    unverified: Count
    verified_unknown: Count
    ratings: dict[str, Count]
    files: Count
    newest_s: Instant
    quarantined: Count
    years: dict[Year, Count]
    ends: Ends
    layouts: dict[str, Count]
    layout_files: dict[str, list[str]]
    users_by_layout: ByLayout

    def __post_init__(self) -> None:
        if not any(self.ratings.values()):
            raise ValueError("ratings: counts no review")


class Encoded(msgspec.Struct):
    """Of encode_interactions: the instants of the fold, and its sizes."""

    cut_s: Instant
    last_s: Instant
    train: Count
    train_users: Count
    train_items: Count
    holdout: Count
    verified: Count
    unverified: Count


class Trained(msgspec.Struct):
    """Of train_als: what the factors began with."""

    start: str


class Prior(msgspec.Struct):
    """The item prior that was learned, as `LearnedPrior` takes it."""

    power: Factor
    half_life_days: Factor
    why: str
    judged_users: Count
    tried: list[dict[str, Any]]


class Popular(msgspec.Struct):
    """Of fit_popularity: the names of the rankings, which its files bear."""

    names: list[Name]


class Learned(msgspec.Struct):
    """Of learn_prior."""

    prior: Prior


class Compared(msgspec.Struct, forbid_unknown_fields=True):
    """A version of the channel among the models judged: its name there, its id, and how it is judged."""

    name: Name
    model_id: ModelId
    how: Literal["none", "published", "refitted"]
    note: str


class Evaluated(msgspec.Struct):
    """Of evaluate: the names of the models, which its files bear, and the champion."""

    models: list[Name]
    champion: str
    champion_how: Literal["none", "published", "refitted"]
    champion_id: ModelId | None
    judged_users: Count
    versions: list[Compared]
    not_compared: Any


class Gated(msgspec.Struct):
    """Of recall_gate."""

    decision: Literal["PROMOTE", "HOLD", "REJECT"]
    forced: bool


class Tried(msgspec.Struct):
    """Of tune_trial."""

    recall: Share
    coverage: Share


COUNTS: dict[str, type[msgspec.Struct]] = {
    "resolve_snapshot": Resolved,
    "parse_reviews": Parsed,
    "encode_interactions": Encoded,
    "train_als": Trained,
    "fit_popularity": Popular,
    "learn_prior": Learned,
    "evaluate": Evaluated,
    "recall_gate": Gated,
    "tune_trial": Tried,
}
