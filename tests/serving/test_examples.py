"""Users that are shown: of each length the one who was active last."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.serving import Recommender, examples
from include.recommender.serving.examples import LENGTHS

from .versions import SIZES, version

VERSION = version()


def by_hand(seen, n):
    """For each length the user of the nearest size, and of those the newest, in one look at all users."""
    newest = [max(seen.times[a:b], default=0) for a, b in zip(seen.indptr[:-1], seen.indptr[1:], strict=True)]
    sizes = np.diff(seen.indptr).tolist()
    users = [row for row, size in enumerate(sizes) if size]
    found = [
        min(users, key=lambda row: (abs(sizes[row] - length), -newest[row]))
        for length in LENGTHS[:: max(1, len(LENGTHS) // n)][:n]
        if users
    ]
    return list(dict.fromkeys(found))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=30), st.integers(0, 9), st.integers(1, 12))
def test_rows_are_the_newest_users_of_the_nearest_lengths(sizes, seed, n):
    times = np.random.default_rng(seed).permutation(sum(sizes)).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    seen = replace(VERSION.seen, indptr=indptr, times=times)
    seen = replace(seen, indices=np.zeros(sum(sizes), np.int32))
    assert examples._rows(seen, n).tolist() == by_hand(seen, n)


def test_each_shows_the_newest_of_the_history_and_the_list():
    found = examples.examples(Recommender(VERSION))
    assert [row.n_items for row in found] == sorted({1, 2, 3, 5, 8, 30} & set(SIZES))
    for row in found:
        assert len(row.history) == min(row.n_items, examples.SHOWN)
        assert len(row.items) == examples.SHOWN
