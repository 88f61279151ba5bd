"""What counts as a collapse, and what a few reviews cannot do."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.config import QualityConfig
from include.recommender.data.columns import ROWS
from include.recommender.data.counts import ByLayout
from include.recommender.data.funnel import Funnel
from include.recommender.data.quality import compare, rating_distance, warnings
from include.recommender.data.times import DAY_S, few

from ..documents import changed, parse_counts

BEFORE = parse_counts(
    **{
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
        "ends": {
            "first_s": 1_400_000_000,
            "deep_first_s": 1_400_100_000,
            "last_s": 1_500_000_000,
            "deep_last_s": 1_499_900_000,
        },
        "years": {"2014": 200, "2015": 300, "2016": 300, "2017": 200},
        "layouts": {"2018": 1000},
        "users_by_layout": {"older": 300, "newer": 0, "both": 0},
    }
)
ASIDE = "without the few outermost"


def failed(**changes):
    return [check.what for check in compare(BEFORE, changed(BEFORE, **changes), QualityConfig()) if not check.passed]


def ends(**changes):
    return {"ends": changed(BEFORE.ends, **changes)}


def test_the_same_again_and_steady_growth_pass():
    assert failed() == []
    grown = {"reviews": 1200, "lines": 1212, "bad": 12, "users": 350, "verified": 960, "unverified": 240}
    assert failed(**grown, **ends(last_s=1_500_600_000), years={**BEFORE.years, "2018": 200}) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"reviews": 799}, "reviews"),
        ({"users": 100}, "users"),
        ({"items": 79}, "items"),
        ({"years": {**BEFORE.years, "2015": 200}}, "reviews of 2015"),
        ({"years": {"2014": 200, "2016": 600, "2017": 200}}, "reviews of 2015"),
        ({"bad": 30}, "share of bad lines"),
        ({"verified": 600, "unverified": 400}, "share of verified among known"),
        ({"verified_unknown": 300}, "share with verified unknown"),
        ({"ratings": {"5.0": 1000}}, "rating mix"),
        (ends(last_s=1_499_800_000), f"newest review, {ASIDE}"),
        (ends(first_s=1_450_000_000), f"oldest review, {ASIDE}"),
    ],
)
def test_each_collapse_is_found_alone(changes, what):
    assert failed(**changes) == [what]


def test_fewer_bad_lines_are_no_collapse():
    assert failed(bad=0, lines=1000) == []


def test_a_layout_without_verified_has_no_verified_share():
    plain = changed(BEFORE, verified=0, unverified=0, verified_unknown=1000)
    assert all(check.passed for check in compare(plain, plain, QualityConfig()))


def test_rating_distance_is_total_variation():
    assert rating_distance({"1.0": 1, "5.0": 3}, {"5.0": 10}) == pytest.approx(0.25)


# Reviews as columns: user, item, time, rating, verified; and lines that are bad beside them.
START_S, SPAN_S = 1_200_000_000, 10 * 365 * DAY_S


def snapshot(n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(0, max(1, n // 2), n),
        rng.integers(0, max(1, n // 5), n),
        START_S + (SPAN_S * rng.random(n) ** 0.5).astype(np.int64),
        rng.choice([1.0, 4.0, 5.0], n),
        rng.choice([0, 1], n, p=[0.2, 0.8]),
    ]


def counted(columns, bad=0):
    """The counts of a parse, by the funnel that makes them."""
    users, items = columns[:2]
    funnel, n = Funnel(), len(users)
    rows = [pa.array([""] * n, pa.large_string())] * 2 + [
        pa.array(column).cast(field.type) for column, field in zip(columns[2:], list(ROWS)[2:5], strict=True)
    ]
    funnel.add_values(pa.record_batch([*rows, pa.array([False] * n)], schema=ROWS))
    funnel.n_lines, funnel.n_reviews, funnel.n_bad = n + bad, n, bad
    sizes = {"users": len(np.unique(users)), "items": len(np.unique(items))}
    return funnel.counts(files=1, newest_s=0, quarantined=bad, users_by_layout=ByLayout(1, 0, 0), **sizes)


def stopped(before, now):
    return [check.what for check in compare(before, now, QualityConfig()) if not check.passed]


odd_review = st.tuples(
    st.integers(10**6, 10**6 + 3),
    st.integers(10**6, 10**6 + 3),
    st.sampled_from([757_382_400, 800_000_000, START_S, START_S + SPAN_S, 1_900_000_000, 4_102_444_799]),
    st.sampled_from([0.0, 1.0, 5.0]),
    st.sampled_from([-1, 0, 1]),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), n=st.one_of(st.integers(7, 60), st.integers(61, 12_000)), seed=st.integers(0, 9))
def test_a_few_reviews_that_come_or_go_stop_nothing(data, n, seed):
    columns, k = snapshot(n, seed), few(n)
    by = data.draw(st.sampled_from([0, 1, 2, 3, 4, None]), label="removed by column")
    gone = data.draw(st.integers(0, k), label="removed")
    n_bad = data.draw(st.integers(0, k - gone), label="bad lines")
    added = data.draw(st.lists(odd_review, max_size=min(20, k - gone - n_bad)), label="added")
    order = np.random.default_rng(seed).permutation(n) if by is None else np.argsort(columns[by], kind="stable")
    kept = np.sort(data.draw(st.sampled_from([order[gone:], order[: n - gone]]), label="kept"))
    others = (
        [np.append(column[kept], new) for column, new in zip(columns, zip(*added, strict=True), strict=True)]
        if added
        else [column[kept] for column in columns]
    )
    before, now = counted(columns), counted(others, n_bad)
    assert stopped(before, now) == []
    # The odd ones go again: nothing either.
    assert stopped(now, before) == []


@pytest.mark.parametrize("n", [60, 1000, 20_000])
def test_real_collapses_stop(n):
    columns = snapshot(n)
    before, times = counted(columns), columns[2]

    def without(gone):
        return stopped(before, counted([column[~gone] for column in columns]))

    half = np.arange(n) % 2 == 0
    assert "reviews" in without(half)
    assert f"newest review, {ASIDE}" in without(times >= np.quantile(times, 0.6))
    assert f"oldest review, {ASIDE}" in without(times <= np.quantile(times, 0.5))
    year = times.astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    assert "reviews of 2016" in without(year == 2016)
    unverified = [*columns[:4], np.zeros(n, int)]
    assert stopped(before, counted(unverified)) == ["share of verified among known"]
    assert stopped(before, counted(columns, bad=max(6, n // 50))) == ["share of bad lines"]


def test_an_older_dump_is_found_although_one_review_is_dated_in_the_future():
    columns = snapshot(20_000)
    old = columns[2] < np.quantile(columns[2], 0.9)
    older = [column[old] for column in columns]
    older[2][0] = 4_000_000_000
    assert f"newest review, {ASIDE}" in stopped(counted(columns), counted(older))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_snapshot_of_a_few_reviews_stops_nothing(n):
    assert stopped(counted(snapshot(5)), counted(snapshot(n, seed=3), bad=1)) == []


def test_a_change_of_generation_warns_and_stops_nothing():
    now = changed(BEFORE, layouts={"2023": 1000}, users_by_layout={"older": 0, "newer": 300, "both": 0})
    (text,) = warnings(BEFORE, now)
    assert text.startswith("100% of the reviews are in the 2023 layout, 0% were in the snapshot before.")
    assert warnings(None, now) == warnings(now, now) == warnings(BEFORE, BEFORE) == []
    assert failed(layouts=now.layouts) == []
