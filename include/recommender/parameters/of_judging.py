"""Who is judged, and what it takes to be promoted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .definition import MOST_COUNT, Section, parameter
from .kinds import Number, Whole

LEAST_BEYOND = 100  # resamples beyond an end of the gate's interval


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Section, key="evaluate", heading="Evaluation"):
    """Who is judged, at which K."""

    top_k: int = parameter(
        10,
        Whole(1, 100),
        "K of the Recall@K that the gate decides on. Set it to the number of recommendations that a user sees.",
    )
    max_users: int = parameter(
        50_000,
        Whole(0, MOST_COUNT),
        "Largest number of judged users. If there are more, a seeded sample is judged; 0 judges all. Raise it for "
        "narrower intervals, lower it to save time.",
    )
    seed: int = parameter(
        7,
        Whole(0, MOST_COUNT),
        "Seed of the sample of judged users. Change it to see how much recall depends on the sample.",
        name="sample_seed",
    )

    @property
    def ks(self) -> tuple[int, ...]:
        """The K of all tables, with `top_k` among them."""
        return tuple(sorted({5, 10, 20, 50, self.top_k}))


@dataclass(frozen=True, kw_only=True)
class GateConfig(Section, key="gate", heading="Gate"):
    """What it takes to be promoted. docs/gate-rates.md has for which values its error rates were simulated."""

    confidence_level: float = parameter(
        0.95,
        Number(0.5, 0.999),
        "Confidence level of the paired bootstrap interval. Raise it to promote less often by chance.",
    )
    resamples: int = parameter(
        10_000,
        Whole(10_000, 1_000_000),
        "Number of bootstrap resamples. Raise it together with confidence_level: "
        f"at least {LEAST_BEYOND} of them must lie beyond each end of the interval.",
    )
    min_relative_lift: float = parameter(
        0.05,
        Number(0.0, 10.0),
        "Smallest relative lift of Recall@K over the strongest popularity baseline that is promoted. Raise it if a "
        "small gain is not worth a new version.",
    )
    min_users: int = parameter(
        100,
        Whole(1, MOST_COUNT),
        "Smallest number of judged users; with fewer the verdict is HOLD. Lower it only for test data.",
    )
    champion_tolerance: float = parameter(
        0.05,
        Number(0.0, 1.0),
        "Largest relative loss of Recall@K that is accepted against the best of the champion and earlier versions. "
        "Lower it if recall must not fall between versions.",
    )
    seed: int = parameter(
        11,
        Whole(0, MOST_COUNT),
        "Seed of the bootstrap. Change it to see whether a close verdict depends on chance.",
        name="bootstrap_seed",
    )

    def problem(self) -> str | None:
        """Too few resamples lie beyond an end of an interval of a high level.

        This is about the interval over popularity. The one against the best of several versions has a higher level, so
        fewer resamples lie beyond its ends; it decides between HOLD and REJECT only.
        """
        tail = (1 - self.confidence_level) / 2
        least = math.ceil(round(LEAST_BEYOND / tail, 6))
        if self.resamples >= least:
            return None
        return (
            f"resamples={self.resamples}: expected at least {least} at confidence_level={self.confidence_level:g}, so "
            f"that {LEAST_BEYOND} of them lie beyond each end of the interval; or a lower confidence_level"
        )
