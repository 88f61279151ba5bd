"""What one run is about: its dates, its channel, and who decides."""

from __future__ import annotations

from dataclasses import dataclass

from .definition import Section, parameter
from .instants import Day, Instant
from .kinds import Choice, Flag, Text

MAIN_CHANNEL = "production"
CHANNEL_PATTERN = "[a-z][a-z0-9_-]{0,39}"
NEWEST_TUNED = "newest"  # of the tuned configurations
TUNED_ID = "[0-9]{8}-[0-9a-f]{12}"
AUTOMATIC, BY_HAND = "automatic", "by_hand"

CHANNEL = Text(
    most=40,
    pattern=CHANNEL_PATTERN,
    description="a name of a-z, 0-9, - and _ that begins with a letter, at most 40 characters",
    examples=(MAIN_CHANNEL, "staging"),
)
TUNED = Text(
    most=len("20181001-0123456789ab"),
    pattern=f"{NEWEST_TUNED}|{TUNED_ID}",
    description=f"`{NEWEST_TUNED}`, or the id of a tuned configuration such as 20181001-0123456789ab",
    examples=(NEWEST_TUNED,),
)
PROMOTION = Choice(
    {
        AUTOMATIC: "Move the channel when the gate says PROMOTE",
        BY_HAND: "Publish only; a person promotes from the command line",
    }
)


@dataclass(frozen=True, kw_only=True)
class RunConfig(Section, key="run", heading="Run Parameters"):
    """What is asked of one run. Airflow opens the section of this heading, and folds all others."""

    snapshot: str | None = parameter(
        None,
        Day(),
        "Date of the snapshot to train on. Empty: the newest dated on or before the run's date. Set it to train on an "
        "older snapshot again.",
    )
    as_of: str | None = parameter(
        None,
        Instant(),
        "Nothing at or after this instant is known to the run: a date (its midnight, UTC) or a date-time. Empty: the "
        "run's date. Set it to see the model of an earlier time.",
    )
    tuned: str | None = parameter(
        None,
        TUNED,
        f"Configuration that recommender_tune found: an id, or `{NEWEST_TUNED}` for the newest that was better than "
        "the defaults, with an as_of not after this run's. It replaces defaults; a parameter that you set to another "
        "value wins. Empty: none.",
        title="Tuned configuration",
    )
    channel: str = parameter(
        MAIN_CHANNEL,
        CHANNEL,
        "Channel: the pointer to the version that is served. A retraining moves it when the gate says PROMOTE. Name "
        "another to try a configuration beside production.",
    )
    promotion: str = parameter(
        AUTOMATIC,
        PROMOTION,
        f"Who moves the channel to a model that passed the gate. Choose `{BY_HAND}` to look at a model before it is "
        "served.",
    )
    force: bool = parameter(
        False,
        Flag(),
        "Train even if reviews and configuration are those of the channel's model. Set it to repeat a run that would "
        "stop as unchanged.",
        title="Train again",
    )
    force_reason: str | None = parameter(
        None,
        Text(most=500, least=10),
        "Promote whatever the verdict, for this reason, which stays in the history for good. Empty: the gate decides. "
        "Set it only if you accept a model that the gate refuses.",
        title="Promote whatever the verdict",
    )
