"""A snapshot against the one before it: a collapse is found before anything is trained on it.

What a few reviews change by themselves (`times.few`: 0.1 %, at least a handful) is never a collapse: an author may
delete one, a clock may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..config import QualityConfig
from .times import day, few

Counts = Mapping[str, Any]

# Of the users of the rarer layout, so many at least are known in the other where ids are of one kind.
JOINING_SHARE = 0.01


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
    return [
        *_sizes(before, now, config),
        *_years(before, now, config),
        *_shares(before, now, config),
        *_times(before, now, config),
    ]


def _sizes(before: Counts, now: Counts, config: QualityConfig) -> Iterator[Check]:
    for name in ("reviews", "users", "items"):
        least = before[name] - max(config.max_drop * before[name], few(before["reviews"]))
        yield Check(name, f"{before[name]:,}", f"{now[name]:,}", f"at least {max(0, least):,.0f}", now[name] >= least)


def _years(before: Counts, now: Counts, config: QualityConfig) -> Iterator[Check]:
    """The year that lost most, beyond what it may lose."""
    found = []
    for year, n in before["years"].items():
        least, left = n - max(config.max_drop * n, few(before["reviews"])), now["years"].get(year, 0)
        found.append(
            (
                left - least,
                Check(f"reviews of {year}", f"{n:,}", f"{left:,}", f"at least {max(0, least):,.0f}", left >= least),
            )
        )
    if found:
        yield min(found, key=lambda row: row[0])[1]


def _shares(before: Counts, now: Counts, config: QualityConfig) -> Iterator[Check]:
    limit, some = config.max_share_shift, few(before["reviews"])
    rise = _bad_share(now) - _bad_share(before)
    bad_limit = max(config.max_bad_rise, some / min(_filled(before), _filled(now)))
    yield _shift("share of bad lines", _bad_share(before), _bad_share(now), rise, bad_limit)
    n_known = min(_known(before), _known(now))
    if n_known:
        old, new = (counts["verified"] / _known(counts) for counts in (before, now))
        yield _shift("share of verified among known", old, new, abs(new - old), max(limit, some / n_known))
    limit = max(limit, some / min(before["reviews"], now["reviews"]))
    old, new = (counts["verified_unknown"] / counts["reviews"] for counts in (before, now))
    yield _shift("share with verified unknown", old, new, abs(new - old), limit)
    distance = rating_distance(before["ratings"], now["ratings"])
    yield Check("rating mix", "0", f"{distance:.2%} apart", f"{min(1, limit):.2%} apart", distance <= limit)


def _shift(what: str, old: float, new: float, shift: float, limit: float) -> Check:
    return Check(what, f"{old:.2%}", f"{new:.2%}", f"a shift of {min(1, limit):.2%}", shift <= limit)


def _filled(counts: Counts) -> int:
    return max(1, int(counts["lines"] - counts["blank"]))


def _bad_share(counts: Counts) -> float:
    return float(counts["bad"] / _filled(counts))


def _known(counts: Counts) -> int:
    return int(counts["verified"] + counts["unverified"])


def rating_distance(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Total variation distance of two rating histograms, from 0 (the same mix) to 1."""
    old, new = sum(before.values()), sum(now.values())
    return sum(abs(before.get(key, 0) / old - now.get(key, 0) / new) for key in {*before, *now}) / 2


def _times(before: Counts, now: Counts, config: QualityConfig) -> Iterator[Check]:
    """Newest and oldest day, each without a few reviews; nothing where there are too few to leave some out."""
    old, new = before["ends"], now["ends"]
    oldest, newest = old["deep_first_s"], old["deep_last_s"]
    if oldest is None or new["first_s"] is None:
        return
    aside = "without the few outermost"
    last = new["last_s"]
    yield Check(f"newest review, {aside}", day(newest), day(last), f"{day(newest)} or later", last >= newest)
    latest = oldest + config.max_drop * max(0, newest - oldest)
    first = new["first_s"]
    yield Check(f"oldest review, {aside}", day(oldest), day(first), f"{day(latest)} or earlier", first <= latest)


def warnings(before: Counts | None, now: Counts) -> list[str]:
    """What a person should know of a snapshot, though it stops nothing.

    Parameters
    ----------
    before, now : the counts of `parse_files`; there may be no snapshot before
    """
    found = [mixed_ids(now), changed_ids(before, now) if before else None]
    return [text for text in found if text]


def mixed_ids(counts: Counts) -> str | None:
    """Whether users of the 2023 layout and of the older ones do not meet, in words; None where they do."""
    users = counts["users_by_layout"]
    rarer = min(users["older"], users["newer"])
    if not rarer or users["both"] >= JOINING_SHARE * rarer:
        return None
    where = "; ".join(f"{layout}: {', '.join(names)}" for layout, names in counts["layout_files"].items())
    return (
        f"The snapshot mixes layouts whose users do not meet: {users['older']:,} users in the 2014 or 2018 layout, "
        f"{users['newer']:,} in that of 2023, {users['both']:,} in both. The files of 2023 have other user ids "
        "(hashed), so nobody's older reviews join the newer ones, and holdout users look cold. Use files of "
        f"one generation, or write both with the same user ids. Layouts and files: {where}."
    )


def changed_ids(before: Counts, now: Counts) -> str | None:
    """Whether most reviews have come from the other kind of layout before, in words."""
    old, new = (_newer_share(counts) for counts in (before, now))
    if (old > 0.5) == (new > 0.5):
        return None
    return (
        f"{new:.0%} of the reviews are in the 2023 layout, {old:.0%} were in the snapshot before. The files of 2023 "
        "have other user ids (hashed): users do not meet those of earlier models, which count them as new."
    )


def _newer_share(counts: Counts) -> float:
    return float(counts["layouts"].get("2023", 0) / counts["reviews"])
