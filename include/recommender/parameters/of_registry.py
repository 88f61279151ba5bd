"""Options of the registry's command line. Its `--channel` is the parameter `channel` of a run."""

from __future__ import annotations

from dataclasses import dataclass

from .definition import MOST_COUNT, Section, parameter
from .kinds import Text, Whole

WHO_CHARS, WHY_CHARS = 200, 4000  # kept permanently, and read with every look at a channel
_COUNT = Whole(0, MOST_COUNT)


@dataclass(frozen=True, kw_only=True)
class RegistryOptions(Section, key="registry", heading="Registry"):
    """Options of `promote`, `rollback`, `history` and `retire`."""

    who: str | None = parameter(
        None,
        Text(most=WHO_CHARS, least=1),
        "Who moves the channel or deletes; it is recorded for good. Empty: user@host of the command. Set it if several "
        "people share an account.",
    )
    why: str | None = parameter(
        None,
        Text(most=WHY_CHARS, least=1),
        "Why the channel moves; it is recorded for good. `promote` and `rollback` require it.",
    )
    limit: int | None = parameter(
        None, _COUNT, "Number of moves to show, the newest. Empty: all. Set it for a channel with a long history."
    )
    keep_newest: int = parameter(
        10,
        _COUNT,
        "Number of versions to keep, of those whose data are newest. Raise it to be able to go back further.",
    )
    keep_moves: int = parameter(
        10,
        _COUNT,
        "Number of moves of each channel, the newest, whose versions are kept. Raise it to roll back further.",
    )
