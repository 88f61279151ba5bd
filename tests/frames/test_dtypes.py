"""Columns have their dtypes, whatever the rows lack."""

from datetime import UTC, datetime

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.frames import groups, judged, overview, search_trials, timeline
from include.recommender.frames.data_steps import FUNNEL
from include.recommender.frames.dtypes import COUNT, FLAG, NUMBER, TEXT, TIME, frame, when

from .shapes import promised, shape

VALUES = {
    TEXT: st.sampled_from(["", "a", "b c", "ü", "☃", "\x00"]),
    TIME: st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1), timezones=st.just(UTC)),
    COUNT: st.integers(-(2**62), 2**62),
    NUMBER: st.floats(allow_nan=False),
    FLAG: st.booleans(),
}
TABLES = [
    FUNNEL,
    groups.SLICES,
    judged.EVALUATION,
    judged.VERDICT,
    overview.COMPARISON,
    overview.VERSIONS,
    search_trials.TRIALS,
    timeline.HISTORY,
    timeline.TREND,
]


def values(dtype):
    """What a column of a dtype may hold; None is missing."""
    if isinstance(dtype, pd.CategoricalDtype):
        return st.none() | st.sampled_from(list(dtype.categories))
    return st.none() | VALUES.get(dtype, st.integers() | VALUES[TEXT])


def rows(columns):
    return st.lists(
        st.fixed_dictionaries({}, optional={name: values(dtype) for name, dtype in columns.items()}), max_size=4
    )


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(TABLES).flatmap(lambda columns: st.tuples(st.just(columns), rows(columns))))
def test_columns_and_dtypes_are_the_same_for_any_rows(drawn):
    columns, some = drawn
    made = frame(some, columns)
    assert shape(made) == promised(columns)
    assert len(made) == len(some)
    for name in columns:
        given_values = [row.get(name) for row in some]
        kept = [None if pd.isna(value) else value for value in made[name]]
        assert kept == given_values


def test_instants():
    assert when("2018-09-01T02:00:00+02:00") == when(1_535_760_000) == datetime(2018, 9, 1, tzinfo=UTC)
    assert when("20180901T000000.5Z").microsecond == 500_000
    assert when(None) is None
