"""The generated samples: deterministic, 2018 layout, nested snapshots, something for the gate to decide."""

import gzip
import json
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from samples import generated as samples
from samples import world


@pytest.fixture(scope="module")
def packed():
    return dict(samples.snapshots())


def test_the_same_bytes_each_time(packed):
    assert dict(samples.snapshots()) == packed
    assert dict(samples.snapshots(seed=1)) != packed


def test_each_snapshot_is_the_history_known_on_its_date(packed):
    days = sorted(packed)
    assert len(days) >= 10
    for earlier, later in pairwise(days):
        assert packed[later].startswith(packed[earlier])
    for day in days[:3]:
        limit = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        times = [row["unixReviewTime"] for row in _rows(packed[day])]
        assert times == sorted(times)
        assert times[-1] < limit


def test_the_2018_layout_labelled_as_generated(packed):
    rows = _rows(packed[max(packed)])
    needed = {"reviewerID", "asin", "overall", "verified", "reviewText", "summary", "unixReviewTime", "reviewTime"}
    assert all(needed <= row.keys() <= needed | {"vote", "style"} for row in rows)
    assert all(row["reviewerID"].startswith("GENERATED") and "Generated" in row["reviewText"] for row in rows)
    assert any(isinstance(row.get("vote"), str) for row in rows)
    assert any("style" in row for row in rows)
    shown = rows[0]
    written = datetime.fromtimestamp(shown["unixReviewTime"], UTC)
    assert shown["reviewTime"] == f"{written:%m} {written.day}, {written.year}"
    assert 0.5 < np.mean([row["verified"] for row in rows]) < 0.95


def test_few_duplicates_and_very_few_bad_lines(packed):
    lines = gzip.decompress(packed[max(packed)]).splitlines()
    rows = _rows(packed[max(packed)])
    assert 0 < (len(lines) - len(rows)) / len(lines) < 0.002
    pairs = {(row["reviewerID"], row["asin"]) for row in rows}
    assert 0 < 1 - len(pairs) / len(rows) < 0.02


def test_popularity_drifts_and_the_truth_reports_who_likes_what():
    made = world.make_world()
    first, last = (made.popularity(day.timestamp()) for day in (world.FIRST, world.LAST))
    assert np.corrcoef(first, last)[0, 1] < 0.5
    choices = world.choose(made)
    assert len(np.unique(choices.users * len(made.item_taste) + choices.items)) == len(choices.users)
    scores = made.scores(float(world.LAST.timestamp()))
    late = choices.times_s > world.LAST.timestamp() - 7 * world.DAY_S
    users, items = choices.users[late], choices.items[late]
    rank = (scores[users] > scores[users, items][:, None]).mean(axis=1)
    assert np.median(rank) < 0.1


def _rows(data):
    rows = []
    for line in gzip.decompress(data).splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
