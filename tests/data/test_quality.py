"""What counts as a collapse."""

import pytest

from include.recommender.config import QualityConfig
from include.recommender.data.quality import compare, rating_distance

BEFORE = {
    "lines": 1010,
    "blank": 0,
    "bad": 10,
    "reviews": 1000,
    "users": 300,
    "items": 100,
    "verified": 800,
    "unverified": 200,
    "verified_unknown": 0,
    "ratings": {"5.0": 700, "1.0": 300},
    "first_s": 1_400_000_000,
    "last_s": 1_500_000_000,
}


def failed(**changes):
    return [check.what for check in compare(BEFORE, {**BEFORE, **changes}, QualityConfig()) if not check.passed]


def test_the_same_again_and_steady_growth_pass():
    assert failed() == []
    assert failed(reviews=1200, lines=1212, bad=12, users=350, verified=960, unverified=240, last_s=1_500_600_000) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"reviews": 799}, "reviews"),
        ({"users": 100}, "users"),
        ({"items": 79}, "items"),
        ({"bad": 30}, "share of bad lines"),
        ({"verified": 600, "unverified": 400}, "share of verified among known"),
        ({"verified_unknown": 300}, "share with verified unknown"),
        ({"ratings": {"5.0": 1000}}, "rating mix"),
        ({"last_s": 1_499_999_999}, "newest review"),
        ({"first_s": 1_450_000_000}, "oldest review"),
    ],
)
def test_each_collapse_is_found_alone(changes, what):
    assert failed(**changes) == [what]


def test_fewer_bad_lines_are_no_collapse():
    assert failed(bad=0, lines=1000) == []


def test_a_layout_without_verified_has_no_verified_share():
    plain = {**BEFORE, "verified": 0, "unverified": 0, "verified_unknown": 1000}
    assert all(check.passed for check in compare(plain, plain, QualityConfig()))


def test_rating_distance_is_total_variation():
    assert rating_distance({"1.0": 1, "5.0": 3}, {"5.0": 10}) == pytest.approx(0.25)
