"""Parameters of `recommender_batch`: for whom lists are made, and how long they are."""

from __future__ import annotations

from dataclasses import dataclass

from .definition import MOST_DAYS, Section, parameter
from .kinds import Number, Text, Whole

NEW_ITEM_DAYS = 30
MODEL = Text(
    most=128,
    pattern="[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
    description="the id of a published version, such as 20181001-0123456789ab",
    examples=("20181001-0123456789ab",),
)


@dataclass(frozen=True, kw_only=True)
class BatchConfig(Section, key="batch", heading="Recommendations"):
    """What is written for whom."""

    model: str | None = parameter(
        None,
        MODEL,
        "Version that makes the lists. Empty: the one that the channel points to. Set it to try a version that no "
        "channel points to.",
    )
    list_size: int = parameter(
        10, Whole(1, 100), "Items of each user's list. Raise it if a later step filters or sorts the lists."
    )
    active_days: int = parameter(
        0,
        Whole(0, MOST_DAYS),
        "Only users with an interaction in so many days before the version's newest one get a list; 0 is everybody. "
        "Set it if most users never come back.",
    )
    similar_items: int = parameter(
        10, Whole(0, 100), "Most similar items to write for each item; 0 writes none. Raise it for longer item pages."
    )
    new_item_share: float = parameter(
        0.0,
        Number(0.0, 1.0),
        "Share of each user's list that new items have at least, rounded up to whole items; 0 leaves the lists to the "
        "scores. Raise it if new items are hardly ever shown: the log of `recommend_users` has their share.",
    )
    new_item_days: int = parameter(
        NEW_ITEM_DAYS,
        Whole(1, MOST_DAYS),
        "An item is new if its first interaction is at most so many days before the end of what the version knows. "
        "Raise it if items gather interactions slowly.",
    )
