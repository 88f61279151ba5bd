"""Compare a snapshot with the one before it, to find a collapse before training.

What a few reviews change by themselves (`times.few`: 0.1 %, at least a handful) is never a collapse: an author may
delete one, a clock may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ..config import QualityConfig
from .counts import ParseCounts
from .times import day, few

# Of the users of the rarer layout, so many at least are known in the other where ids are of one kind.
JOINING_SHARE = 0.01


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One comparison as table cells: the quantity, its value before and now, the limit, and whether it passed."""

    what: str
    before: str
    now: str
    allowed: str
    passed: bool

    def __str__(self) -> str:
        verdict = "ok" if self.passed else "COLLAPSED"
        return f"{self.what}: {self.before} before, {self.now} now, allowed {self.allowed}: {verdict}"


def compare(before: ParseCounts, now: ParseCounts, config: QualityConfig) -> list[Check]:
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


def _sizes(before: ParseCounts, now: ParseCounts, config: QualityConfig) -> Iterator[Check]:
    some = few(before.reviews)
    for name, old, new in (
        ("reviews", before.reviews, now.reviews),
        ("users", before.users, now.users),
        ("items", before.items, now.items),
    ):
        yield _count(name, old, new, old - max(config.max_drop * old, some))


def _count(what: str, old: int, new: int, least: float) -> Check:
    allowed = f"at least {max(0, least):,.0f}"
    return Check(what=what, before=f"{old:,}", now=f"{new:,}", allowed=allowed, passed=new >= least)


def _years(before: ParseCounts, now: ParseCounts, config: QualityConfig) -> Iterator[Check]:
    """Check the year that lost most reviews beyond its allowance."""
    found = []
    for year, n in before.years.items():
        least, left = n - max(config.max_drop * n, few(before.reviews)), now.years.get(year, 0)
        found.append((left - least, _count(f"reviews of {year}", n, left, least)))
    if found:
        yield min(found, key=lambda row: row[0])[1]


def _shares(before: ParseCounts, now: ParseCounts, config: QualityConfig) -> Iterator[Check]:
    limit, some = config.max_share_shift, few(before.reviews)
    bad_limit = max(config.max_bad_rise, some / min(before.filled, now.filled))
    old, new = before.bad_share, now.bad_share
    yield _shift("share of bad lines", old, new, bad_limit, passed=new - old <= bad_limit)
    n_known = min(before.verified_known, now.verified_known)
    if n_known:
        old, new = (counts.verified / counts.verified_known for counts in (before, now))
        of_known = max(limit, some / n_known)
        yield _shift("share of verified among known", old, new, of_known, passed=abs(new - old) <= of_known)
    limit = max(limit, some / min(before.reviews, now.reviews))
    old, new = (counts.verified_unknown / counts.reviews for counts in (before, now))
    yield _shift("share with verified unknown", old, new, limit, passed=abs(new - old) <= limit)
    distance = rating_distance(before.ratings, now.ratings)
    yield Check(
        what="rating mix",
        before="0",
        now=f"{distance:.2%} apart",
        allowed=f"{min(1, limit):.2%} apart",
        passed=distance <= limit,
    )


def _shift(what: str, old: float, new: float, limit: float, *, passed: bool) -> Check:
    allowed = f"a shift of {min(1, limit):.2%}"
    return Check(what=what, before=f"{old:.2%}", now=f"{new:.2%}", allowed=allowed, passed=passed)


def rating_distance(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Total variation distance of two rating histograms, from 0 (the same mix) to 1."""
    old, new = sum(before.values()), sum(now.values())
    return sum(abs(before.get(key, 0) / old - now.get(key, 0) / new) for key in {*before, *now}) / 2


def _times(before: ParseCounts, now: ParseCounts, config: QualityConfig) -> Iterator[Check]:
    """Compare newest and oldest day, each without a few reviews; no check if there are too few reviews."""
    oldest, newest = before.ends.deep_first_s, before.ends.deep_last_s
    first, last = now.ends.first_s, now.ends.last_s
    if oldest is None or newest is None or first is None or last is None:
        return
    aside = "without the few outermost"
    yield Check(
        what=f"newest review, {aside}",
        before=day(newest),
        now=day(last),
        allowed=f"{day(newest)} or later",
        passed=last >= newest,
    )
    latest = oldest + config.max_drop * max(0, newest - oldest)
    yield Check(
        what=f"oldest review, {aside}",
        before=day(oldest),
        now=day(first),
        allowed=f"{day(latest)} or earlier",
        passed=first <= latest,
    )


def warnings(before: ParseCounts | None, now: ParseCounts) -> list[str]:
    """Return warnings about a snapshot that do not stop the run.

    Parameters
    ----------
    before, now : the counts of `parse_files`; there may be no snapshot before
    """
    found = [mixed_ids(now), changed_ids(before, now) if before else None]
    return [text for text in found if text]


def mixed_ids(counts: ParseCounts) -> str | None:
    """Return a warning if the 2023 layout and the older ones share too few users; else None."""
    users = counts.users_by_layout
    rarer = min(users.older, users.newer)
    if not rarer or users.both >= JOINING_SHARE * rarer:
        return None
    where = "; ".join(f"{layout}: {', '.join(names)}" for layout, names in counts.layout_files.items())
    return (
        f"The snapshot mixes layouts whose users do not meet: {users.older:,} users in the 2014 or 2018 layout, "
        f"{users.newer:,} in that of 2023, {users.both:,} in both. The files of 2023 have other user ids "
        "(hashed), so older and newer reviews of a user are not joined, and holdout users look cold. Use files of "
        f"one generation, or write both with the same user ids. Layouts and files: {where}."
    )


def changed_ids(before: ParseCounts, now: ParseCounts) -> str | None:
    """Return a warning if most reviews of the snapshot before had the other kind of layout; else None."""
    old, new = (_newer_share(counts) for counts in (before, now))
    if (old > 0.5) == (new > 0.5):
        return None
    return (
        f"{new:.0%} of the reviews are in the 2023 layout, {old:.0%} were in the snapshot before. The files of 2023 "
        "have other user ids (hashed): users do not meet those of earlier models, which count them as new."
    )


def _newer_share(counts: ParseCounts) -> float:
    return counts.layouts.get("2023", 0) / counts.reviews
