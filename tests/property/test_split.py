"""What holds for every set of reviews: no leak, nothing lost, no dependence on order."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.recommender.config import EncodeConfig
from include.recommender.data.encoding import _ARRAYS, EncodedFold, encode, frequent
from include.recommender.data.reviews import Reviews
from include.recommender.data.split import Pairs, split_time
from include.recommender.errors import DataError
from include.recommender.models.confidence import confidences
from tests.data import plain_fold as plain
from tests.interactions import frame

COLUMNS = ("user", "item", "time", "rating", "verified")
END_S = 2**62
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


def deduplicated(reviews: Reviews, before_s: int = END_S) -> Reviews:
    pairs = Pairs.before(reviews, before_s)
    return pairs.interactions(np.arange(len(pairs), dtype=np.int32), before_s)


def fold_bytes(fold: EncodedFold) -> list[object]:
    return [fold.stats, *((getattr(fold, name).dtype, getattr(fold, name).tobytes()) for name in _ARRAYS)]


def encoded(reviews: Reviews, as_of_s: int, config: EncodeConfig) -> EncodedFold:
    """The fold; cases that cannot be split or judged are left out."""
    try:
        return encode(reviews, as_of_s, config)
    except DataError:
        assume(False)
        raise


MINIMA = st.integers(1, 3)
WEIGHTS = st.builds(
    EncodeConfig,
    holdout_fraction=st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5]),
    min_user_interactions=MINIMA,
    min_item_interactions=MINIMA,
    rating_weight=st.sampled_from([0.0, 0.5, 1.0]),
    half_life_days=st.sampled_from([0.0, 1e-3, 120.0]),
    unknown_weight=st.sampled_from([0.0, 0.7]),
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(REVIEWS, FOLDABLE), st.integers(0, 70), WEIGHTS)
def test_every_byte_is_that_of_the_plain_encoding(reviews, as_of_s, config):
    """Ties in time, repeated pairs and lines, unknown `verified`, cuts, minimum counts, no holdout."""
    expected = plain.plain_fold(reviews, as_of_s, config)
    try:
        found = encode(reviews, as_of_s, config)
    except DataError:
        assert expected is None
        return
    assert expected is not None
    assert fold_bytes(found) == fold_bytes(expected)


def test_a_large_set_too():
    """More reviews than one block, most of them repeated, so that nothing hides in the first block."""
    rng, n = np.random.default_rng(1), (1 << 18) + 4567
    columns = [rng.integers(0, most, n) for most in (300, 200, 50_000, 5)]
    reviews = Reviews(
        user=columns[0].astype(np.int32),
        item=columns[1].astype(np.int32),
        time=columns[2],
        rating=columns[3].astype(np.float32),
        verified=rng.integers(-1, 2, n).astype(np.int8),
    )
    # Sorted by comparisons; a repeated pair is the run of rows between two changes.
    order = np.lexsort((reviews.rating, reviews.time, reviews.item, reviews.user))
    rows = reviews.take(order)
    first = np.flatnonzero((np.diff(rows.user, prepend=-1) != 0) | (np.diff(rows.item, prepend=-1) != 0))
    found, expected = deduplicated(reviews), rows.take(first)
    for name in COLUMNS[:-1]:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_array_equal(found.verified, np.maximum.reduceat(rows.verified, first))
    assert 1.2 * len(found) < n
    weighed = confidences(reviews.time, reviews.rating, reviews.verified, split_s=50_000, config=EncodeConfig())
    tail = [column[-5000:] for column in (reviews.time, reviews.rating, reviews.verified)]
    np.testing.assert_array_equal(weighed[-5000:], confidences(*tail, split_s=50_000, config=EncodeConfig()))


@quick
@given(REVIEWS, st.integers(0, 70))
def test_one_interaction_of_each_pair(reviews, before_s):
    found = deduplicated(reviews, before_s)
    assert plain.rows_of(found) == plain.deduplicate(plain.before(plain.rows_of(reviews), before_s))
    assert plain.rows_of(deduplicated(found)) == plain.rows_of(found)


@quick
@given(REVIEWS, FRACTIONS)
def test_the_split_time_holds_out_the_share_that_was_asked_for(reviews, fraction):
    times = Pairs.before(reviews, END_S).first_s
    try:
        split_s = split_time(times, fraction)
    except DataError:
        assume(False)
    # At least the share that was asked for (rounded), and no more than what ties at the split time add to it.
    wanted = len(times) - min(len(times) - 1, round(len(times) * (1 - fraction)))
    assert (times > split_s).sum() < wanted <= (times >= split_s).sum() < len(times)


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
    past = encode(reviews.take(reviews.time < as_of_s), as_of_s, config)
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
    early, late = (plain.rows_of(deduplicated(reviews, as_of_s)) for as_of_s in sorted((one, other)))
    # A pair once known keeps its first time, however much becomes known later.
    first = {row[:2]: row[2] for row in late}
    assert all(first[row[:2]] == row[2] for row in early)


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
def test_leaving_out_the_rare_reaches_the_largest_fixed_point(reviews, min_user, min_item):
    train = deduplicated(reviews)
    positions, _ = frequent(train.user, train.item, min_user, min_item)
    kept = train.take(positions)
    assert frequent(kept.user, kept.item, min_user, min_item)[1] == 0
    # The same by dropping one offender at a time.
    rest = plain.rows_of(train)
    while True:
        users, items = [row[0] for row in rest], [row[1] for row in rest]
        bad = [row for row in rest if users.count(row[0]) < min_user or items.count(row[1]) < min_item]
        if not bad:
            break
        rest.remove(bad[0])
    assert plain.rows_of(kept) == rest


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
