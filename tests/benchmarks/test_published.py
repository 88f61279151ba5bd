"""A published split as reviews: every interaction once, the held-out ones a week younger."""

import gzip
import json

import pytest

from benchmarks.published import WEEK_S, write_reviews


@pytest.fixture
def split(tmp_path):
    (tmp_path / "train_users.dat").write_text("0 4 7\n1 2\n2\n")
    (tmp_path / "test_users.dat").write_text("0 5\n1 0 9\n")
    return tmp_path


def reviews(path):
    return [json.loads(row) for row in gzip.open(path).read().splitlines()]


def test_the_test_part_is_younger(split):
    assert write_reviews(split, split / "r.jsonl.gz", None) == 6
    rows = reviews(split / "r.jsonl.gz")
    older, younger = sorted({row["unixReviewTime"] for row in rows})
    assert younger - older == WEEK_S
    pairs = {(row["reviewerID"], row["asin"]): row["unixReviewTime"] == younger for row in rows}
    expected = {("U0", "I4"): False, ("U0", "I7"): False, ("U1", "I2"): False}
    assert pairs == expected | {("U0", "I5"): True, ("U1", "I0"): True, ("U1", "I9"): True}


def test_a_random_part_is_the_same_each_time(split):
    (split / "train_users.dat").write_text("\n".join(f"{user} {' '.join(map(str, range(20)))}" for user in range(50)))
    found = []
    for name in ("a.gz", "b.gz"):
        write_reviews(split, split / name, 0.2)
        found.append(reviews(split / name))
    assert found[0] == found[1]
    latest = max(row["unixReviewTime"] for row in found[0])
    assert 0.15 < sum(row["unixReviewTime"] == latest for row in found[0]) / len(found[0]) < 0.25
