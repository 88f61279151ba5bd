"""The split in time, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import EncodeConfig
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.reviews import Reviews
from include.recommender.data.split import before, deduplicate, time_split
from include.recommender.errors import DataError
from tests.interactions import frame

DAY_S = 86_400
YEARS_S = 5 * 365 * DAY_S


def pairs(reviews: Reviews) -> list[tuple[int, int, int]]:
    return list(zip(reviews.user.tolist(), reviews.item.tolist(), reviews.time.tolist(), strict=True))


def test_before_drops_the_instant_itself():
    known = before(frame((0, 0, 10), (0, 1, 11), (1, 0, 12)), 11)
    assert pairs(known) == [(0, 0, 10)]


def test_deduplicate_keeps_the_earliest_and_verified_if_any():
    # (0, 7) was reviewed three times: the two at 10 differ in rating and the lower one counts.
    reviews = frame((0, 7, 20, 5, 1), (1, 7, 5, 3, -1), (0, 7, 10, 4, 0), (0, 7, 10, 2, 0))
    kept = deduplicate(reviews)
    assert pairs(kept) == [(0, 7, 10), (1, 7, 5)]
    assert kept.rating.tolist() == [2, 3]
    assert kept.verified.tolist() == [1, -1]


def test_the_newest_tenth_is_held_out():
    interactions = frame(*((user, 0, 100 + user) for user in range(20)))
    fold = time_split(interactions, 0.1)
    assert fold.split_s == 118
    assert pairs(fold.holdout) == [(18, 0, 118), (19, 0, 119)]


def test_all_of_one_instant_fall_on_the_same_side():
    # The newest fifth would be two of ten; three share the instant at which it begins.
    interactions = frame(*((user, 0, time) for user, time in enumerate([1, 2, 3, 4, 5, 6, 7, 9, 9, 9])))
    fold = time_split(interactions, 0.2)
    assert (fold.split_s, len(fold.train), len(fold.holdout)) == (9, 7, 3)


def test_without_a_holdout_the_split_time_is_just_after_the_newest_interaction():
    fold = time_split(frame((0, 0, 10), (1, 0, 30), (2, 1, 20)), 0.0)
    assert fold.split_s == 31
    assert len(fold.train) == 3
    assert len(fold.holdout) == 0


def test_a_refit_years_after_the_data_ends_keeps_its_weights():
    reviews = frame((0, 0, 10 * DAY_S), (0, 1, 190 * DAY_S), (1, 0, 190 * DAY_S))
    config = EncodeConfig(holdout_fraction=0.0, alpha=20, unknown_weight=1, half_life_days=180, age_floor=0)
    soon, late = (encode(reviews, 191 * DAY_S + wait, config) for wait in (0, YEARS_S))
    # The newest have their full weight but for one second of age, the oldest is one half-life older.
    np.testing.assert_allclose(late.confidence, [11, 21, 21], rtol=1e-5)
    assert late.stats["split_s"] == soon.stats["split_s"] == 190 * DAY_S + 1
    for name in ("user_codes", "item_codes", "indptr", "indices", "confidence", "times"):
        assert getattr(soon, name).tobytes() == getattr(late, name).tobytes()


@pytest.mark.parametrize(("floor", "expected"), [(0.0, [1, 11, 21]), (0.2, [5, 13, 21]), (1.0, [21, 21, 21])])
def test_old_interactions_keep_their_floor(floor, expected):
    reviews = frame((0, 0, 0), (0, 1, 20_000 * DAY_S - 180 * DAY_S), (1, 0, 20_000 * DAY_S))
    config = EncodeConfig(holdout_fraction=0.0, alpha=20, unknown_weight=1, half_life_days=180, age_floor=floor)
    np.testing.assert_allclose(encode(reviews, 20_001 * DAY_S, config).confidence, expected, rtol=1e-5)


@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_nothing_known_says_so(fraction):
    with pytest.raises(DataError, match="No interaction lies before as_of"):
        encode(frame((0, 0, 100)), 50, EncodeConfig(holdout_fraction=fraction))


def test_one_instant_cannot_be_split():
    with pytest.raises(DataError, match="too few instants"):
        time_split(frame((0, 0, 7), (1, 0, 7), (2, 0, 7)), 0.1)


def test_filtered_to_nothing_names_the_minimum():
    reviews = frame(*((user, user, 10 + user) for user in range(20)))
    with pytest.raises(DataError, match="min_user_interactions=2"):
        encode(reviews, 1_000, EncodeConfig(min_user_interactions=2))


def test_encode_by_hand():
    # Ten interactions, the newest two (user 5's of item 1, user 9's of item 3) held out at fraction 0.2.
    reviews = frame(
        (5, 0, 1), (5, 2, 2), (6, 0, 3), (6, 1, 4), (7, 0, 5), (7, 2, 6), (8, 1, 7), (8, 2, 8),
        (5, 1, 9), (9, 3, 10), (6, 0, 11), (6, 2, 99),
    )  # fmt: skip
    fold = encode(reviews, 50, EncodeConfig(holdout_fraction=0.2, half_life_days=0, unknown_weight=1, alpha=2))
    assert fold.user_codes.tolist() == [5, 6, 7, 8]
    assert fold.item_codes.tolist() == [0, 1, 2]
    assert fold.matrix.toarray().tolist() == [[3, 0, 3], [3, 3, 0], [3, 0, 3], [0, 3, 3]]
    assert (fold.holdout_rows.tolist(), fold.holdout_items.tolist()) == ([0], [1])
    expected = {
        "reviews": 12,
        "after_as_of": 1,
        "repeated": 1,
        "interactions": 10,
        "train": 8,
        "holdout": 2,
        "split_s": 9,
        "cold_users": 1,
        "cold_items": 1,
        "holdout_of_cold_users": 1,
        "holdout_on_cold_items": 1,
        "judged_users": 1,
        "judged_interactions": 1,
        # Item 3 is cold, and held out by user 9 only, who is cold too: no miss of anybody who is judged.
        "judged_on_cold_items": 0,
    }
    assert {name: fold.stats[name] for name in expected} == expected
    assert all(type(value) in (int, float) for value in fold.stats.values())


def test_a_fold_survives_the_disk(tmp_path):
    reviews = frame(*((user, user % 3, 10 * user) for user in range(30)), *((user, 4, 5 * user) for user in range(30)))
    fold = encode(reviews, 1_000, EncodeConfig())
    fold.save(tmp_path)
    again = EncodedFold.load(tmp_path)
    assert again.stats == fold.stats
    assert (again.matrix != fold.matrix).nnz == 0


def test_a_review_after_the_split_time_does_not_verify_one_before_it():
    reviews = frame((0, 0, 10, 5.0, 0), (0, 0, 95, 5.0, 1), (0, 1, 20, 5.0, 1), (0, 2, 90, 5.0, 1), (1, 0, 15, 5.0, 1))
    config = EncodeConfig(holdout_fraction=0.25, half_life_days=0, alpha=10, verified_weight=1, unverified_weight=0.5)
    judged = encode(reviews, 100, config)
    assert judged.stats["split_s"] == 90
    assert judged.confidence.tolist() == [6, 11, 11]
    # What is published knows both.
    assert encode(reviews, 100, replace(config, holdout_fraction=0)).confidence.tolist() == [11, 11, 11, 11]
