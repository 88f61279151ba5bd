"""Popularity by hand and against pandas."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from include.recommender.config import PopularityConfig
from include.recommender.models.confidence import DAY_S
from include.recommender.models.histories import Histories
from include.recommender.models.popularity import ItemInteractions, fit_popularity
from include.recommender.models.ranking import recommend_all

SPLIT_S = 1_000 * DAY_S


def train(items, times, n_items):
    return ItemInteractions(items=items, times=times, n_items=n_items, split_s=SPLIT_S)


def test_windows_decay_and_ties_by_hand():
    # Item 0: three times, long ago. Items 1 and 2: once each, 10 days ago; 2 also once before. Item 3: 60 days ago.
    items = np.array([0, 0, 0, 1, 2, 2, 3], dtype=np.int32)
    times = SPLIT_S - DAY_S * np.array([500, 500, 500, 10, 10, 400, 60])
    fitted = fit_popularity(train(items, times, 5), PopularityConfig(windows_days=(30, 90), half_life_days=10))
    assert list(fitted) == ["popularity_all_time", "popularity_30d", "popularity_90d", "popularity_decayed"]
    assert fitted["popularity_all_time"].counts.tolist() == [3, 1, 2, 1, 0]
    assert fitted["popularity_30d"].counts.tolist() == [0, 1, 1, 0, 0]
    assert fitted["popularity_90d"].counts.tolist() == [0, 1, 1, 1, 0]
    assert fitted["popularity_decayed"].counts == pytest.approx([3 * 2**-50, 0.5, 0.5 + 2**-40, 2**-6, 0])
    # All time: 1 and 3 tie throughout, the smaller id is first. 30 days: 2 before 1 by all-time count, then 0 before 3.
    assert fitted["popularity_all_time"].order.tolist() == [0, 2, 1, 3, 4]
    assert fitted["popularity_30d"].order.tolist() == [2, 1, 0, 3, 4]
    assert fitted["popularity_90d"].order.tolist() == [2, 1, 3, 0, 4]
    assert fitted["popularity_decayed"].order.tolist() == [2, 1, 3, 0, 4]


def test_a_window_begins_at_its_very_instant_and_ends_before_the_split_time():
    times = np.array([SPLIT_S - 30 * DAY_S - 1, SPLIT_S - 30 * DAY_S, SPLIT_S - 1])
    items = np.arange(3, dtype=np.int32)
    fitted = fit_popularity(train(items, times, 3), PopularityConfig(windows_days=(30,)))
    assert fitted["popularity_30d"].counts.tolist() == [0, 1, 1]


def test_counts_and_order_agree_with_pandas():
    rng = np.random.default_rng(0)
    items = rng.zipf(1.5, 5_000).clip(max=200).astype(np.int32) - 1
    times = SPLIT_S - rng.integers(1, 800 * DAY_S, 5_000)
    config = PopularityConfig()
    fitted = fit_popularity(train(items, times, 200), config)
    frame = pd.DataFrame({"item": items, "age": (SPLIT_S - times) / DAY_S})
    everything = frame.groupby("item").size().reindex(range(200), fill_value=0)
    expected = {"popularity_all_time": everything}
    for days in config.windows_days:
        expected[f"popularity_{days}d"] = frame[frame.age <= days].groupby("item").size()
    weight = 0.5 ** (frame.age / config.half_life_days)
    expected["popularity_decayed"] = weight.groupby(frame["item"]).sum()
    assert set(fitted) == set(expected)
    for name, counts in expected.items():
        counts = counts.reindex(range(200), fill_value=0)
        np.testing.assert_allclose(fitted[name].counts, counts, rtol=1e-12, err_msg=name)
        table = pd.DataFrame({"counts": fitted[name].counts, "all": everything, "id": range(200)})
        table = table.sort_values(["counts", "all", "id"], ascending=[False, False, True])
        assert fitted[name].order.tolist() == table.id.tolist()


def test_recommendations_follow_the_order_without_what_was_seen():
    items = np.array([0, 1, 1, 2, 2, 2], dtype=np.int32)
    model = fit_popularity(train(items, np.full(6, SPLIT_S - 1), 4), PopularityConfig())["popularity_all_time"]
    seen = Histories.of(sparse.csr_matrix(np.array([[0, 0, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]])))
    assert recommend_all(model, seen, seen, 3).tolist() == [[2, 1, 0], [1, 0, 3], [-1, -1, -1]]
