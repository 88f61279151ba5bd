"""Parameters of `recommender_batch`: for whom lists are made, and how long they are."""

from __future__ import annotations

from dataclasses import dataclass

from .definition import MOST_DAYS, Section, parameter
from .kinds import Text, Whole

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
