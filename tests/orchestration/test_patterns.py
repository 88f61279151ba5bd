"""A line feed at the end of a text makes it another text, whatever `$` says of it."""

import re

import pytest

from include.recommender.parameters import RETRAIN, problems

GOOD = {"channel": "production", "as_of": "2018-10-01", "tuned": "newest"}


@pytest.mark.parametrize(("name", "value"), GOOD.items())
def test_a_trailing_line_feed_is_refused_by_form_and_task(name, value):
    pattern = RETRAIN[name].schema()["pattern"]
    assert problems({name: value}, RETRAIN) == []
    assert problems({name: f"{value}\n"}, RETRAIN) != []
    assert re.search(pattern, value)
    assert not re.search(pattern, f"{value}\n")


def test_these_are_all_the_patterns_of_the_form():
    assert {name for name, each in RETRAIN.items() if "pattern" in each.schema()} == set(GOOD)
