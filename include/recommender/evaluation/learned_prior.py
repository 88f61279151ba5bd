"""What was learned of the item prior, as prior.json, a manifest's counts and a report hold it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec

from ..config import PriorConfig
from ..storage.documents import Count, Share

# Beyond any bound of the form, and far from what overflows.
Factor = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class PriorPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A prior that was tried: its Recall@K on the inner holdout, and how far below the best it lies.

    errors_below : in standard errors of the paired difference; clearly_worse : whether that is too far
    """

    half_life_days: Factor
    power: Factor
    recall: Share
    errors_below: float
    clearly_worse: bool


class LearnedPrior(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The chosen power and half-life, why, and on how many users they were judged."""

    power: Factor
    half_life_days: Factor
    why: str
    judged_users: Count
    tried: list[PriorPoint]

    def applied(self, config: PriorConfig) -> PriorConfig:
        """The configuration with what was learned, fixed."""
        return replace(config, power=self.power, half_life_days=self.half_life_days, fit=False)
