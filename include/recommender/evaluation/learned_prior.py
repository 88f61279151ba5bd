"""The learned parameters of the item prior, as stored in prior.json, a manifest's counts and a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec

from ..config import PriorConfig
from ..storage.documents import Count, Share

# Above every bound of the form, and far below overflow.
Factor = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class PriorPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tried prior: its Recall@K on the inner holdout, and its distance below the best.

    errors_below : distance in standard errors of the paired difference; clearly_worse : whether that is too large
    """

    half_life_days: Factor
    power: Factor
    recall: Share
    errors_below: float
    clearly_worse: bool


class LearnedPrior(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The chosen power and half-life, the reason, and the number of judged users."""

    power: Factor
    half_life_days: Factor
    why: str
    judged_users: Count
    tried: list[PriorPoint]

    def applied(self, config: PriorConfig) -> PriorConfig:
        """The configuration with the learned values, fixed."""
        return replace(config, power=self.power, half_life_days=self.half_life_days, fit=False)
