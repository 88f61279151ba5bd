"""What holds for every set of reviews: no leak, nothing lost, no dependence on order."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.recommender.config import EncodeConfig
from include.recommender.data.encoding import _ARRAYS, EncodedFold, encode, filter_rare
from include.recommender.data.reviews import Reviews
from include.recommender.data.split import before, deduplicate, time_split
from include.recommender.errors import DataError
from include.recommender.models.confidence import confidences
from tests.interactions import frame

COLUMNS = ("user", "item", "time", "rating", "verified")
ROW = st.tuples(
    st.integers(0, 9), st.integers(0, 9), st.integers(0, 60), st.integers(1, 5), st.sampled_from([-1, 0, 1])
)
REVIEWS = st.lists(ROW, min_size=1, max_size=80).map(lambda rows: frame(*rows))
# Enough of few users and items that most of them can be split and judged.
DENSE_ROW = st.tuples(
    st.integers(0, 4), st.integers(0, 7), st.integers(0, 60), st.integers(1, 5), st.sampled_from([-1, 0, 1])
)
FOLDABLE = st.lists(DENSE_ROW, min_size=25, max_size=80).map(lambda rows: frame(*rows))
FRACTIONS = st.sampled_from([0.05, 0.1, 0.25, 0.5])
quick = settings(max_examples=80, deadline=None)


def keys(reviews: Reviews) -> list[tuple]:
    return list(zip(*(getattr(reviews, name).tolist() for name in COLUMNS), strict=True))


def fold_bytes(fold: EncodedFold) -> list[object]:
    return [fold.stats, *((getattr(fold, name).dtype, getattr(fold, name).tobytes()) for name in _ARRAYS)]


def encoded(reviews: Reviews, as_of_s: int, config: EncodeConfig) -> EncodedFold:
    """The fold; cases that cannot be split or judged are left out."""
    try:
        return encode(reviews, as_of_s, config)
    except DataError:
        assume(False)
        raise


@quick
@given(REVIEWS)
def test_deduplicate_keeps_one_of_each_pair(reviews):
    kept = deduplicate(reviews)
    pairs = list(zip(kept.user.tolist(), kept.item.tolist(), strict=True))
    assert pairs == sorted({(user, item) for user, item, *_ in keys(reviews)})
    for user, item, time, rating, verified in keys(kept):
        same = [row[2:] for row in keys(reviews) if row[:2] == (user, item)]
        assert (time, rating) == min(row[:2] for row in same)
        assert verified == max(row[2] for row in same)


@quick
@given(REVIEWS)
def test_deduplicate_twice_changes_nothing(reviews):
    once = deduplicate(reviews)
    assert keys(deduplicate(once)) == keys(once)


@quick
@given(REVIEWS, FRACTIONS)
def test_the_split_time_lies_between_train_and_holdout_and_nothing_is_lost(reviews, fraction):
    interactions = deduplicate(reviews)
    try:
        fold = time_split(interactions, fraction)
    except DataError:
        assume(False)
    assert fold.train.time.max() < fold.split_s <= fold.holdout.time.min()
    assert sorted(keys(fold.train) + keys(fold.holdout)) == keys(interactions)
    # At least the share that was asked for (rounded), and no more than what ties at the split time add to it.
    wanted = len(interactions) - min(len(interactions) - 1, round(len(interactions) * (1 - fraction)))
    newer = int((fold.holdout.time > fold.split_s).sum())
    assert newer < wanted <= len(fold.holdout)


@quick
@given(FOLDABLE, FRACTIONS, st.integers(40, 70), st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_matter(reviews, fraction, as_of_s, random):
    config = EncodeConfig(holdout_fraction=fraction)
    order = list(range(len(reviews)))
    random.shuffle(order)
    expected = fold_bytes(encoded(reviews, as_of_s, config))
    assert fold_bytes(encode(reviews.take(np.array(order)), as_of_s, config)) == expected


@quick
@given(FOLDABLE, st.sampled_from([0.0, 0.1, 0.5]), st.integers(40, 70))
def test_reviews_from_as_of_on_change_nothing(reviews, fraction, as_of_s):
    config = EncodeConfig(holdout_fraction=fraction)
    fold = encoded(reviews, as_of_s, config)
    past = encode(before(reviews, as_of_s), as_of_s, config)
    assert fold_bytes(past)[1:] == fold_bytes(fold)[1:]
    assert fold.stats["after_as_of"] == int((reviews.time >= as_of_s).sum())
    assert fold.times.max() < fold.stats["split_s"] <= as_of_s


@quick
@given(FOLDABLE, st.sampled_from([0.0, 0.1]), st.integers(1, 10**9))
def test_a_later_as_of_with_nothing_newer_gives_the_same_fold(reviews, fraction, later):
    config, end = EncodeConfig(holdout_fraction=fraction), int(reviews.time.max()) + 1
    one, other = encoded(reviews, end, config), encode(reviews, end + later, config)
    assert fold_bytes(one)[1:] == fold_bytes(other)[1:]
    assert one.stats == other.stats


@quick
@given(REVIEWS, st.integers(0, 70), st.integers(0, 70))
def test_a_later_as_of_knows_no_less(reviews, one, other):
    early, late = (before(reviews, as_of_s) for as_of_s in sorted((one, other)))
    assert set(keys(early)) <= set(keys(late))
    # A pair once known keeps its first time, however much becomes known later.
    first = {row[:2]: row[2] for row in keys(deduplicate(late))}
    assert all(first[row[:2]] == row[2] for row in keys(deduplicate(early)))


@quick
@given(FOLDABLE, FRACTIONS, st.integers(1, 3))
def test_the_input_is_not_changed(reviews, fraction, minimum):
    untouched = {name: getattr(reviews, name).copy() for name in COLUMNS}
    for name in COLUMNS:
        getattr(reviews, name).flags.writeable = False
    encoded(reviews, 70, EncodeConfig(holdout_fraction=fraction, min_user_interactions=minimum))
    for name, values in untouched.items():
        np.testing.assert_array_equal(getattr(reviews, name), values)


@quick
@given(REVIEWS, st.integers(1, 4), st.integers(1, 4))
def test_filter_rare_reaches_the_largest_fixed_point(reviews, min_user, min_item):
    train = deduplicate(reviews)
    kept, _ = filter_rare(train, min_user, min_item)
    assert filter_rare(kept, min_user, min_item)[1] == 0
    # The same by dropping one offender at a time.
    rest = keys(train)
    while True:
        users, items = [row[0] for row in rest], [row[1] for row in rest]
        bad = [row for row in rest if users.count(row[0]) < min_user or items.count(row[1]) < min_item]
        if not bad:
            break
        rest.remove(bad[0])
    assert keys(kept) == rest


@quick
@given(REVIEWS, st.floats(0, 10_000), st.just(0.0) | st.floats(0.001, 5_000), st.integers(0, 10**9))
def test_confidence_is_finite_and_at_least_one(reviews, alpha, half_life_days, wait):
    split_s = int(reviews.time.max()) + 1 + wait
    values = confidences(
        reviews.time,
        reviews.rating,
        reviews.verified,
        split_s=split_s,
        config=EncodeConfig(alpha=alpha, half_life_days=half_life_days),
    )
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert values.min() >= 1


@quick
@given(FOLDABLE, FRACTIONS)
def test_the_fold_holds_what_its_statistics_say(reviews, fraction):
    fold = encoded(reviews, 70, EncodeConfig(holdout_fraction=fraction))
    stats, matrix = fold.stats, fold.matrix
    assert matrix.has_canonical_format
    assert stats["reviews"] == stats["after_as_of"] + stats["repeated"] + stats["interactions"]
    assert stats["interactions"] == stats["train"] + stats["train_dropped_rare"] + stats["holdout"]
    assert stats["holdout"] == stats["judged_interactions"] + stats["holdout_of_cold_users"]
    assert stats["train"] == matrix.nnz == stats["verified"] + stats["unverified"] + stats["verified_unknown"]
    assert (np.diff(fold.holdout_indptr) > 0).all()
    # Nobody is judged on what he had in train: a pair counts once, at its first time.
    for row, start, end in zip(fold.holdout_rows, fold.holdout_indptr[:-1], fold.holdout_indptr[1:], strict=True):
        assert not set(fold.item_codes[matrix[row].indices]) & set(fold.holdout_items[start:end])
