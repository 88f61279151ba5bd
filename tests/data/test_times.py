"""The newest review that dates a run: a few odd ones do not count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.data.times import DAY_S, plausible_end

from .review_files import MID, lines, parse

START_S = 1_300_000_000


def steady(n, seed=0):
    return START_S + np.random.default_rng(seed).integers(0, 5 * 365 * DAY_S, n)


@settings(max_examples=60, deadline=None)
@given(st.integers(1000, 30_000), st.integers(0, 9), st.integers(366, 20_000), st.data())
def test_a_few_far_behind_all_others_do_not_count(n, seed, days, data):
    times = steady(n, seed)
    end = int(times.max()) + 1
    assert plausible_end(times) == end
    odd = data.draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=n // 1000))
    times[: len(odd)] = times.min()
    end = int(times.max()) + 1
    # Twenty times what 0.1 % of the reviews take is below a year from some 30,000 reviews a year on.
    far = end + max(days * DAY_S, 20 * 5 * 365 * DAY_S * 8 // 1000)
    times[: len(odd)] = far + np.array(odd)
    assert plausible_end(times) == end


def test_recent_news_counts_though_it_comes_after_a_pause():
    times = steady(20_000)
    times[0] = times.max() + 300 * DAY_S
    assert plausible_end(times) == times[0] + 1
    times[:200] = times.max() + 3000 * DAY_S  # 1 %: no accident
    assert plausible_end(times) == times.max() + 1


@pytest.mark.parametrize("times", [[7], [START_S] * 999, [START_S] * 998 + [4_000_000_000]])
def test_too_few_reviews_tell_nothing_of_what_is_usual(times):
    assert plausible_end(np.array(times)) == max(times) + 1


def test_no_review_has_no_end():
    assert plausible_end(np.array([], np.int64)) == 0


def test_parsing_names_the_odd_ones_and_dates_the_data_without_them(tmp_path, caplog):
    rows = [{**MID, "reviewerID": f"U{n % 50}", "unixReviewTime": START_S + n * DAY_S} for n in range(1500)]
    counts = parse(tmp_path, {"a.json": lines(*rows, {**MID, "unixReviewTime": 4_070_908_800})})
    assert counts["newest_s"] == START_S + 1499 * DAY_S
    assert counts["last_s"] == 4_070_908_800
    assert "1 of 1,501 reviews are dated 2099-01-01 to 2099-01-01, far behind all others" in caplog.text
