"""A line feed at the end of a text makes it another text, whatever `$` says of it."""

import pytest

from include.orchestration.fields import END, retrain_fields
from include.orchestration.parameters import problems

GOOD = {"channel": "production", "as_of": "2018-10-01", "tuned": "newest"}


@pytest.mark.parametrize(("name", "value"), GOOD.items())
def test_a_trailing_line_feed_is_refused(name, value):
    assert problems({name: value}, retrain_fields()) == []
    assert problems({name: f"{value}\n"}, retrain_fields()) != []


def test_every_pattern_of_the_form_ends_where_the_text_ends():
    patterns = [about.schema["pattern"] for about in retrain_fields().values() if "pattern" in about.schema]
    assert len(patterns) == len(GOOD)
    assert all(pattern.endswith(END) for pattern in patterns)
