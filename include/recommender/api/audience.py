"""Which channel answers whom: one for all, or a second one for a share of the users."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from ..serving.live import Live, Loaded


class NotReady(Exception):
    """No version is loaded."""


@dataclass(frozen=True)
class Audience:
    """The channels that are followed.

    main : answers everybody who is not drawn
    second : answers the share of users who are drawn
    experiment : what the hash begins with
    """

    main: Live
    second: Live | None = None
    share: float = 0.0
    experiment: str = ""

    @property
    def lives(self) -> list[Live]:
        """All channels."""
        return [self.main, self.second] if self.second else [self.main]

    def loaded_for(self, user: str | None) -> Loaded:
        """The version that answers a user; without one, or if the second channel has no version, the main one.

        Raises
        ------
        NotReady
            The main channel has no version.
        """
        drawn = self.second is not None and user is not None and place_of(self.experiment, user) < self.share
        if drawn and self.second is not None and self.second.current is not None:
            return self.second.current
        if self.main.current is None:
            raise NotReady(self.main.problem or "the first version is being loaded")
        return self.main.current


def place_of(experiment: str, user: str) -> float:
    """A place from 0 to 1 that a user always has in an experiment, evenly spread over users."""
    digest = blake2b(f"{experiment}\0{user}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
