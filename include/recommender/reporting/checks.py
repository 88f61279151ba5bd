"""What the gate asked, what it found, and whether that was enough: one line a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One threshold. `passed` is None where there was nothing to compare."""

    name: str
    found: str
    asked: str
    passed: bool | None

    @property
    def outcome(self) -> str:
        """In a word."""
        return "-" if self.passed is None else "passed" if self.passed else "missed"


def checks(verdict: Mapping[str, Any]) -> list[Check]:
    """The thresholds of a verdict in the order in which the gate looks at them."""
    asked, against, opponent = verdict["thresholds"], verdict["against_popularity"], verdict["opponent"]
    lift = verdict["relative_lift"]
    return [
        Check(
            "judged users",
            f"{verdict['n_users']:,}",
            f"at least {asked['min_users']:,}",
            verdict["n_users"] >= asked["min_users"],
        ),
        Check(
            f"{asked['confidence_level'] * 100:g} % interval over popularity",
            f"{span(against)} over {opponent}",
            "all above 0",
            against["low"] > 0,
        ),
        Check(
            "relative lift",
            "no hit to compare with" if lift is None else f"{lift:+.1%} over {opponent}",
            f"at least {asked['min_relative_lift']:+.1%}",
            None if lift is None else lift >= asked["min_relative_lift"],
        ),
        _champion(verdict),
    ]


def _champion(verdict: Mapping[str, Any]) -> Check:
    tolerance, versus, recall = (
        verdict["thresholds"]["champion_tolerance"],
        verdict["against_champion"],
        verdict["champion_recall"],
    )
    asked = f"not below {-tolerance:+.1%} of the champion"
    if versus is None:
        return Check("against the champion", "no champion in the comparison", asked, None)
    share = f"{versus['mean'] / recall:+.1%}, " if recall else ""
    return Check(
        "against the champion", f"{share}{span(versus)}", asked, not recall or versus["mean"] >= -tolerance * recall
    )


def span(interval: Mapping[str, float]) -> str:
    """(low, high) of a difference, with signs."""
    return f"({interval['low']:+.4f}, {interval['high']:+.4f})"
