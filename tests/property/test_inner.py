"""The split inside train: nothing of its holdout is known, nothing beyond train is there."""

from dataclasses import replace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from include.recommender.config import EncodeConfig
from include.recommender.data.encoding import EncodedFold
from include.recommender.data.inner import inner_fold
from include.recommender.models.confidence import confidences
from tests.interactions import frame
from tests.property.test_split import FOLDABLE, FRACTIONS, encoded, quick

# Whoever is drawn first has more than may be drawn in all.
LONG_HISTORIES = frame(*((user, item, user + item, 5, 1) for user in range(3) for item in range(10)))


def entries(fold: EncodedFold) -> list[tuple[int, int, int]]:
    """Row, code of the item and time of each train interaction."""
    rows = np.repeat(np.arange(len(fold.user_codes)), fold.history)
    return list(zip(rows.tolist(), fold.item_codes[fold.indices].tolist(), fold.times.tolist(), strict=True))


@quick
@given(FOLDABLE, FRACTIONS)
def test_the_inner_fold_is_what_its_definition_says(reviews, fraction):
    config = EncodeConfig(holdout_fraction=fraction)
    outer = encoded(reviews, 70, config)
    inner = inner_fold(outer, config, 10**6, 0)
    times = sorted(outer.times.tolist())
    split_s = times[min(len(times) - 1, round(len(times) * (1 - fraction)))]
    train = [row for row in entries(outer) if row[2] < split_s]
    if len(train) < 0.5 * min(len(times) - 1, round(len(times) * (1 - fraction))):
        assert_drawn_at_random(outer, inner)
        return
    known, items = {row[0] for row in train}, {row[1] for row in train}
    held = [row for row in entries(outer) if row[2] >= split_s and row[0] in known]
    if not held:
        assert inner is None
        return
    assert inner.stats["split_s"] == split_s <= outer.stats["split_s"]
    assert entries(inner) == train
    assert inner.matrix.has_canonical_format
    assert inner.matrix.shape == (len(outer.user_codes), len(items))
    expected = [(row, item if item in items else -1) for row, item, _ in held]
    users = np.repeat(inner.holdout_rows, np.diff(inner.holdout_indptr)).tolist()
    assert sorted(zip(users, inner.holdout_items.tolist(), strict=True)) == sorted(expected)
    again = confidences(inner.times, inner.ratings, inner.verified, split_s=split_s, config=config)
    assert (inner.confidence == again).all()


def assert_drawn_at_random(outer: EncodedFold, inner: EncodedFold | None) -> None:
    """Train and holdout are apart, and all of train and nothing else; ages count from the outer split time."""
    if inner is None:
        return
    assert inner.stats["split_s"] == outer.stats["split_s"]
    train, every = set(entries(inner)), set(entries(outer))
    assert train < every
    rest = {(row, item) for row, item, _ in every - train if row in {entry[0] for entry in train}}
    known = {entry[1] for entry in train}
    users = np.repeat(inner.holdout_rows, np.diff(inner.holdout_indptr)).tolist()
    held = sorted(zip(users, inner.holdout_items.tolist(), strict=True))
    assert held == sorted((row, item if item in known else -1) for row, item in rest)


def test_where_all_is_of_one_instant_as_many_as_asked_are_drawn():
    outer = encoded(
        frame(*((u, i, 5 if i > 17 else 1, 5, 1) for u in range(40) for i in range(20))), 70, EncodeConfig()
    )
    train = replace(outer, times=np.full(len(outer.times), 5))
    inner = inner_fold(train, EncodeConfig(holdout_fraction=0.25), 10**6, 3)
    assert abs(len(inner.times) / len(train.times) - 0.75) < 0.1
    assert_drawn_at_random(train, inner)
    again = inner_fold(train, EncodeConfig(holdout_fraction=0.25), 10**6, 3)
    assert (again.indices == inner.indices).all()
    assert inner_fold(train, EncodeConfig(holdout_fraction=0.25), 10**6, 4).indices.tolist() != inner.indices.tolist()


@quick
@given(FOLDABLE, st.integers(5, 60), st.integers(0, 5))
@example(reviews=LONG_HISTORIES, most=5, seed=0)
def test_a_sample_is_of_whole_users(reviews, most, seed):
    config = EncodeConfig(holdout_fraction=0.1)
    outer = encoded(reviews, 70, config)
    inner = inner_fold(outer, config, most, seed)
    if inner is None or len(outer.times) <= most:
        return
    assert inner.stats["train"] > 0
    assert inner.stats["train"] <= most
    if inner.stats["split_s"] == outer.stats["split_s"]:  # drawn at random
        return
    for row in inner.holdout_rows:
        mine = [entry for entry in entries(outer) if entry[0] == row]
        assert [entry for entry in mine if entry[2] < inner.stats["split_s"]] == [
            e for e in entries(inner) if e[0] == row
        ]
