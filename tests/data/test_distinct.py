"""Distinct ids in the order of their UTF-8, against Python's own sets and sorting."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.recommender.data.distinct import ranked

characters = st.characters(codec="utf-8", exclude_characters="\0")
texts = st.one_of(
    st.text(characters, max_size=40),
    st.integers(0, 30).map(lambda n: "the same beginning of all of them " + "x" * n),
    st.integers(0, 300).map(str),
)


def check(ids, begin=0):
    codes, found = ranked(pa.array(["before"] * begin + ids, pa.large_string()).slice(begin))
    wanted = sorted(set(ids), key=str.encode)
    assert found.to_pylist() == wanted
    assert [wanted[code] for code in codes.tolist()] == ids


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, max_size=120), st.integers(0, 3))
@example([], 0)
@example(["", "a", ""], 1)
@example(["ab", "a", "abc", "a" * 8, "a" * 9, "a" * 16], 0)
def test_codes_and_sorted_ids(ids, begin):
    check(ids, begin)


@pytest.mark.parametrize("form", ["{:d}", "{:09d}", "prefix-of-many-bytes-{:d}", "{0:d}-then-the-same-after-it"])
def test_many_ids_so_that_the_table_grows(form):
    check([form.format(n * 7919 % 30_011) for n in range(60_000)])
