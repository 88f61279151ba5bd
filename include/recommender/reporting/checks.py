"""What the gate asked, what it found, and whether that was enough: one line a threshold, one unit a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..evaluation.gate import CHAMPION
from .sentence import version_ids


@dataclass(frozen=True)
class Check:
    """One threshold.

    unit : what `found` and `asked` are in: users, a difference of Recall@K, or a share of the other's Recall@K
    passed : None where there was nothing to compare, or where the line decides only between HOLD and REJECT
    """

    name: str
    unit: str
    found: str
    asked: str
    passed: bool | None

    @property
    def outcome(self) -> str:
        """In a word."""
        return "-" if self.passed is None else "passed" if self.passed else "missed"


def checks(verdict: Mapping[str, Any]) -> list[Check]:
    """The thresholds of a verdict in the order in which the gate looks at them."""
    asked, against, baseline = verdict["thresholds"], verdict["against_popularity"], verdict["baseline"]
    lift, recall = verdict["relative_lift"], f"Recall@{verdict['top_k']}"
    return [
        Check(
            name="judged users",
            unit="users",
            found=f"{verdict['n_users']:,}",
            asked=f"at least {asked['min_users']:,}",
            passed=verdict["n_users"] >= asked["min_users"],
        ),
        Check(
            name=f"{_level(verdict)} interval, minus {baseline}",
            unit=recall,
            found=span(against),
            asked="all above 0",
            passed=against["low"] > 0,
        ),
        Check(
            name=f"lift over {baseline}",
            unit="relative",
            found="it has no hit" if lift is None else share(lift),
            asked=f"at least {share(asked['min_relative_lift'])}",
            passed=None if lift is None else lift >= asked["min_relative_lift"],
        ),
        *_reference(verdict),
    ]


def _reference(verdict: Mapping[str, Any]) -> list[Check]:
    """The loss against the best recent version, and its interval, which tells HOLD from REJECT."""
    tolerance, versus = verdict["thresholds"]["champion_tolerance"], verdict["against_reference"]
    asked = f"not below {share(-tolerance)}"
    if versus is None:
        return [Check(name="minus the champion", unit="relative", found="not compared", asked=asked, passed=None)]
    who, recall, recall_unit = reference_name(verdict), verdict["reference_recall"], f"Recall@{verdict['top_k']}"
    return [
        Check(
            name=f"minus {who}",
            unit="relative",
            found=share(versus["mean"] / recall) if recall else "it has no hit",
            asked=asked,
            passed=not recall or versus["mean"] >= -tolerance * recall,
        ),
        Check(
            name=f"{verdict['reference_level'] * 100:.4g} % interval, minus {who}",
            unit=recall_unit,
            found=span(versus),
            asked="tells HOLD from REJECT",
            passed=None,
        ),
    ]


def reference_name(verdict: Mapping[str, Any]) -> str:
    """The best recent version: "champion", or its id where another than the champion is the best."""
    reference = str(verdict["reference"])
    return "the champion" if reference == CHAMPION else version_ids(verdict).get(reference, reference)


def _level(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['thresholds']['confidence_level'] * 100:g} %"


def share(value: float) -> str:
    """A relative difference with its sign, in percent."""
    return f"{value * 100:+.1f} %"


def span(interval: Mapping[str, float]) -> str:
    """(low, high) of a difference, with signs."""
    return f"({interval['low']:+.4f}, {interval['high']:+.4f})"
