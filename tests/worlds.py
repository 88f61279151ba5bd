"""Small generated worlds of reviews for tests."""

import gzip
import json
from datetime import UTC, datetime

import numpy as np

START = datetime(2018, 1, 1, tzinfo=UTC)
DAY_S = 86_400


def reviews(n_users=400, n_items=120, n_groups=6, days=240, seed=1, noise=0.1) -> list[dict]:
    """2018-layout reviews of users who mostly stay within the group of items that they like, ordered by time."""
    rng = np.random.default_rng(seed)
    n = n_users * 12
    user = rng.integers(0, n_users, n)
    group = np.where(rng.random(n) < noise, rng.integers(0, n_groups, n), user % n_groups)
    item = group + n_groups * rng.integers(0, n_items // n_groups, n)
    time = np.sort(rng.integers(0, days * DAY_S, n)) + int(START.timestamp())
    verified = rng.random(n) < 0.8
    return [
        {
            "reviewerID": f"U{user[i]:05}",
            "asin": f"{item[i]:010}",
            "overall": 4.0,
            "verified": bool(verified[i]),
            "unixReviewTime": int(time[i]),
        }
        for i in range(n)
    ]


def lines(rows: list[dict]) -> bytes:
    """Rows as review lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def packed(rows: list[dict]) -> bytes:
    """Rows as a gzip file of review lines, the same bytes each time."""
    return gzip.compress(lines(rows), mtime=0)


def before(rows: list[dict], day: str) -> list[dict]:
    """The reviews written before a date."""
    limit = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    return [row for row in rows if row["unixReviewTime"] < limit]
