"""A snapshot against the one before it: a collapse is found before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..config import QualityConfig

Counts = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One comparison, in words fit for a table: what, before, now, what was allowed, and whether it held."""

    what: str
    before: str
    now: str
    allowed: str
    passed: bool

    def __str__(self) -> str:
        verdict = "ok" if self.passed else "COLLAPSED"
        return f"{self.what}: {self.before} before, {self.now} now, allowed {self.allowed}: {verdict}"


def compare(before: Counts, now: Counts, config: QualityConfig) -> list[Check]:
    """Check a snapshot's parse counts against those of the snapshot before.

    Parameters
    ----------
    before, now : the counts of `parse_files`
    """
    return [*_sizes(before, now, config), *_shares(before, now, config), *_times(before, now, config)]


def _sizes(before: Counts, now: Counts, config: QualityConfig) -> Iterator[Check]:
    for name in ("reviews", "users", "items"):
        least = before[name] * (1 - config.max_drop)
        yield Check(name, f"{before[name]:,}", f"{now[name]:,}", f"at least {least:,.0f}", now[name] >= least)


def _shares(before: Counts, now: Counts, config: QualityConfig) -> Iterator[Check]:
    limit = config.max_share_shift
    rise = _bad_share(now) - _bad_share(before)
    yield _shift("share of bad lines", _bad_share(before), _bad_share(now), rise, config.max_bad_rise)
    old, new = _verified_share(before), _verified_share(now)
    if old is not None and new is not None:
        yield _shift("share of verified among known", old, new, abs(new - old), limit)
    old, new = (counts["verified_unknown"] / counts["reviews"] for counts in (before, now))
    yield _shift("share with verified unknown", old, new, abs(new - old), limit)
    distance = rating_distance(before["ratings"], now["ratings"])
    yield Check("rating mix", "0", f"{distance:.2%} apart", f"{limit:.2%} apart", distance <= limit)


def _shift(what: str, old: float, new: float, shift: float, limit: float) -> Check:
    return Check(what, f"{old:.2%}", f"{new:.2%}", f"a shift of {limit:.2%}", shift <= limit)


def _bad_share(counts: Counts) -> float:
    return float(counts["bad"] / max(1, counts["lines"] - counts["blank"]))


def _verified_share(counts: Counts) -> float | None:
    known = counts["verified"] + counts["unverified"]
    return counts["verified"] / known if known else None


def rating_distance(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Total variation distance of two rating histograms, from 0 (the same mix) to 1."""
    old, new = sum(before.values()), sum(now.values())
    return sum(abs(before.get(key, 0) / old - now.get(key, 0) / new) for key in {*before, *now}) / 2


def _times(before: Counts, now: Counts, config: QualityConfig) -> Iterator[Check]:
    old, new = before["last_s"], now["last_s"]
    yield Check("newest review", _day(old), _day(new), f"{_day(old)} or later", new >= old)
    latest = before["first_s"] + config.max_drop * (before["last_s"] - before["first_s"])
    first = now["first_s"]
    yield Check("oldest review", _day(before["first_s"]), _day(first), f"{_day(latest)} or earlier", first <= latest)


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
