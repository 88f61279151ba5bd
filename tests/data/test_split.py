"""The split in time, by hand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.recommender.config import EncodeConfig, ParseConfig
from include.recommender.data.codes import CODED
from include.recommender.data.encoding import EncodedFold, encode
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import ITEMS, REVIEWS, USERS, Reviews
from include.recommender.data.split import Pairs, split_time
from include.recommender.errors import DataError
from tests import worlds
from tests.interactions import frame

DAY_S = 86_400
YEARS_S = 5 * 365 * DAY_S


def test_a_pair_begins_with_its_earliest_review():
    pairs = Pairs.before(frame((1, 0, 12), (0, 1, 11), (0, 0, 10), (0, 1, 9), (1, 0, 8)), 11)
    found = zip(pairs.user.tolist(), pairs.item.tolist(), pairs.first_s.tolist(), strict=True)
    assert list(found) == [(0, 0, 10), (0, 1, 9), (1, 0, 8)]


def test_the_earliest_counts_and_verified_if_any_was():
    # (0, 7) was reviewed three times: the two at 10 differ in rating and the lower one counts.
    reviews = frame((0, 7, 20, 5, 1), (1, 7, 5, 3, -1), (0, 7, 10, 4, 0), (0, 7, 10, 2, 0))
    pairs = Pairs.before(reviews, 30)
    kept = pairs.interactions(np.arange(2, dtype=np.int32), 30)
    assert (kept.user.tolist(), kept.item.tolist(), kept.time.tolist()) == ([0, 1], [7, 7], [10, 5])
    assert (kept.rating.tolist(), kept.verified.tolist()) == ([2, 3], [1, -1])
    # Before the review at 20 nobody had verified it.
    assert pairs.interactions(np.arange(2, dtype=np.int32), 20).verified.tolist() == [0, -1]


def test_the_newest_tenth_is_held_out():
    assert split_time(np.arange(100, 120), 0.1) == 118


def test_all_of_one_instant_fall_on_the_same_side():
    # The newest fifth would be two of ten; three share the instant at which it begins.
    assert split_time(np.array([1, 2, 3, 4, 5, 6, 7, 9, 9, 9]), 0.2) == 9


def test_without_a_holdout_the_split_time_is_just_after_the_newest_interaction():
    assert split_time(np.array([10, 30, 20]), 0.0) == 31


def test_another_as_of_over_the_same_reviews_reads_no_ids(tmp_path):
    (tmp_path / "reviews.jsonl.gz").write_bytes(worlds.packed(worlds.reviews(n_users=60)))
    counts = parse_files([("reviews.jsonl.gz", tmp_path / "reviews.jsonl.gz")], tmp_path, ParseConfig())
    for name in (USERS, ITEMS):
        (tmp_path / name).unlink()
    middle_s = (counts.first_s + counts.last_s) // 2
    early, late = (encode(Reviews.load(tmp_path), as_of_s, EncodeConfig()) for as_of_s in (middle_s, counts.last_s + 1))
    assert early.times.max() < middle_s < late.times.max()
    assert early.stats["after_as_of"] > late.stats["after_as_of"] == 0


@pytest.mark.parametrize("code", [-1, 3, 2**31 - 1])
@pytest.mark.parametrize("name", ["user", "item"])
def test_a_code_that_is_no_rank_is_refused_before_compiled_code_sees_it(tmp_path, name, code):
    columns = {field.name: np.ones(3, field.type.to_pandas_dtype()) for field in CODED}
    columns[name][1] = code
    pq.write_table(pa.table(columns, schema=CODED), tmp_path / REVIEWS)
    with pytest.raises(DataError, match=r"reviews\.parquet: holds a number outside 0\.\.2"):
        Reviews.load(tmp_path)


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
        split_time(np.array([7, 7, 7]), 0.1)


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
