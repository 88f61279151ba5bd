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
        "Person who moves the channel or deletes versions; it is stored permanently. Empty: user@host of the command. "
        "Set it if several people share an account.",
    )
    why: str | None = parameter(
        None,
        Text(most=WHY_CHARS, least=1),
        "Reason of the move; it is stored permanently. `promote` and `rollback` require it.",
    )
    limit: int | None = parameter(
        None, _COUNT, "Number of newest moves to show. Empty: all. Set it for a channel with a long history."
    )
    keep_newest: int = parameter(
        10,
        _COUNT,
        "Number of versions with the newest data to keep. Raise it to be able to go back further.",
    )
    keep_moves: int = parameter(
        10,
        _COUNT,
        "Number of newest moves of each channel whose versions are kept. Raise it to roll back further.",
    )
