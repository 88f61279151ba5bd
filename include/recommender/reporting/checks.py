"""The gate's thresholds, the values found, and whether they pass: one row a threshold, one unit a row."""

from __future__ import annotations

from dataclasses import dataclass

from ..evaluation.gate import CHAMPION
from ..registry.verdict import Interval, Verdict
from .pages import title


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """One threshold of the gate, and the value found.

    unit : of `found` and `required`: users, a difference of Recall@K, or a share of the other's Recall@K
    passed : None if there was nothing to compare, or if the row decides only between HOLD and REJECT
    """

    name: str
    unit: str
    found: str
    required: str
    passed: bool | None

    @property
    def outcome(self) -> str:
        """The outcome as one word."""
        return "-" if self.passed is None else "passed" if self.passed else "missed"


def checks(verdict: Verdict) -> list[Threshold]:
    """Return the thresholds of a verdict in the order of the gate."""
    limits, against, baseline = verdict.thresholds, verdict.against_popularity, verdict.baseline
    lift, recall = verdict.relative_lift, f"Recall@{verdict.top_k}"
    return [
        Threshold(
            name="judged users",
            unit="users",
            found=f"{verdict.n_users:,}",
            required=f"at least {limits.min_users:,}",
            passed=verdict.n_users >= limits.min_users,
        ),
        Threshold(
            name=f"{_level(verdict)} interval, minus {baseline}",
            unit=recall,
            found=span(against),
            required="all above 0",
            passed=against.low > 0,
        ),
        Threshold(
            name=f"lift over {baseline}",
            unit="relative",
            found="it has no hit" if lift is None else share(lift),
            required=f"at least {share(limits.min_relative_lift)}",
            passed=None if lift is None else lift >= limits.min_relative_lift,
        ),
        *_rivals(verdict),
        *_reference(verdict),
    ]


def _rivals(verdict: Verdict) -> list[Threshold]:
    return [
        Threshold(
            name=f"{_level(verdict)} interval, minus {title(name)}",
            unit=f"Recall@{verdict.top_k}",
            found=span(interval),
            required="not all below 0",
            passed=not interval.high < 0,
        )
        for name, interval in sorted(verdict.rivals.items())
    ]


def _reference(verdict: Verdict) -> list[Threshold]:
    """The loss against the best recent version, and its interval, which decides between HOLD and REJECT."""
    tolerance, versus = verdict.thresholds.champion_tolerance, verdict.against_reference
    required, level = f"not below {share(-tolerance)}", verdict.reference_level
    if versus is None or level is None:
        return [
            Threshold(name="minus the champion", unit="relative", found="not compared", required=required, passed=None)
        ]
    who, recall, recall_unit = reference_name(verdict), verdict.reference_recall, f"Recall@{verdict.top_k}"
    return [
        Threshold(
            name=f"minus {who}",
            unit="relative",
            found=share(versus.mean / recall) if recall else "it has no hit",
            required=required,
            passed=not recall or versus.mean >= -tolerance * recall,
        ),
        Threshold(
            name=f"{level * 100:.4g} % interval, minus {who}",
            unit=recall_unit,
            found=span(versus),
            required="decides between HOLD and REJECT",
            passed=None,
        ),
    ]


def reference_name(verdict: Verdict) -> str:
    """The best recent version: "champion", or the id of an earlier version."""
    reference = str(verdict.reference)
    return "the champion" if reference == CHAMPION else verdict.version_ids.get(reference, reference)


def _level(verdict: Verdict) -> str:
    return f"{verdict.thresholds.confidence_level * 100:g} %"


def share(value: float) -> str:
    """A relative difference with its sign, in percent."""
    return f"{value * 100:+.1f} %"


def span(interval: Interval) -> str:
    """(low, high) of a difference, with signs."""
    return f"({interval.low:+.4f}, {interval.high:+.4f})"
