"""What one run is about: its dates, its channel, and who decides."""

from __future__ import annotations

from dataclasses import dataclass

from .definition import Section, parameter
from .instants import Day, Instant
from .kinds import Flag, OneText, Text

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
PROMOTION = OneText(
    {
        AUTOMATIC: "Move the channel if the verdict is PROMOTE",
        BY_HAND: "Publish only; a person promotes on the command line",
    }
)


@dataclass(frozen=True, kw_only=True)
class RunConfig(Section, key="run", heading="Run Parameters"):
    """The parameters of one run. Airflow opens the section with this heading, and folds all others."""

    snapshot: str | None = parameter(
        None,
        Day(),
        "Date of the snapshot to train on. Empty: the newest dated on or before the run's date. Set it to train on an "
        "older snapshot again.",
    )
    as_of: str | None = parameter(
        None,
        Instant(),
        "End of the known data: the run uses no review at or after this date (midnight, UTC) or date-time. Empty: the "
        "run's date. Set it to get the model of an earlier time.",
    )
    tuned: str | None = parameter(
        None,
        TUNED,
        f"Tuned configuration to use: an id, or `{NEWEST_TUNED}` for the newest that was better than the defaults, "
        "with an as_of not after this run's. It replaces defaults, not values that you set. Empty: none. Set it after "
        "recommender_tune has found a better configuration.",
        title="Tuned configuration",
    )
    channel: str = parameter(
        MAIN_CHANNEL,
        CHANNEL,
        "Channel to move, the pointer to the served version. The run moves it if the verdict is PROMOTE. Set another "
        "name to try a configuration beside production.",
    )
    promotion: str = parameter(
        AUTOMATIC,
        PROMOTION,
        f"Whether the run moves the channel to a model that passed the gate. Choose `{BY_HAND}` to check a model "
        "before it is served.",
    )
    force: bool = parameter(
        False,
        Flag(),
        "Train even if the channel's model has the same reviews and configuration. Set it to repeat a run that stopped "
        "as unchanged.",
        title="Train again",
    )
    force_reason: str | None = parameter(
        None,
        Text(most=500, least=10),
        "Reason to promote whatever the verdict; it is stored permanently in the history. Empty: the gate decides. Set "
        "it only to accept a model that the gate refuses.",
        title="Promote whatever the verdict",
    )
