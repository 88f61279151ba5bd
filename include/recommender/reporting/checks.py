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


def checks(verdict: Mapping[str, Any], champion: str | None = None) -> list[Check]:
    """The thresholds of a verdict in the order in which the gate looks at them.

    Parameters
    ----------
    champion : what the evaluation noted on the champion: why there is none in the comparison
    """
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
            "no hit to compare with" if lift is None else f"{share(lift)} over {opponent}",
            f"at least {share(asked['min_relative_lift'])}",
            None if lift is None else lift >= asked["min_relative_lift"],
        ),
        _champion(verdict, champion),
    ]


def _champion(verdict: Mapping[str, Any], note: str | None) -> Check:
    tolerance, versus, recall = (
        verdict["thresholds"]["champion_tolerance"],
        verdict["against_champion"],
        verdict["champion_recall"],
    )
    asked = f"not below {share(-tolerance)} of the champion"
    if versus is None:
        found = f"not compared: {note}" if note else "no champion in the comparison"
        return Check("against the champion", found, asked, None)
    relative = f"{share(versus['mean'] / recall)}, " if recall else ""
    return Check(
        "against the champion", f"{relative}{span(versus)}", asked, not recall or versus["mean"] >= -tolerance * recall
    )


def share(value: float) -> str:
    """A relative difference with its sign, in percent."""
    return f"{value * 100:+.1f} %"


def span(interval: Mapping[str, float]) -> str:
    """(low, high) of a difference, with signs."""
    return f"({interval['low']:+.4f}, {interval['high']:+.4f})"
