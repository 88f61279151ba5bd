"""Why an item is in a list: shares of a score above 0, and plain parts of any other."""

import pytest

from include.recommender.console.recommending import _because
from include.recommender.serving.recommender import Reason


def parts(**values):
    return [Reason(item, part) for item, part in values.items()]


@pytest.mark.parametrize(
    ("given", "score", "text"),
    [
        (parts(A=0.3, B=0.1), 0.4, "A 75%, B 25%"),
        (parts(A=0.5, B=-0.1), 0.4, "A 125%"),
        (parts(A=0.1, B=-0.5), -0.4, "A +0.1000"),
        (parts(A=0.1, B=-0.1), 0.0, "A +0.1000"),
        (parts(A=-0.1, B=-0.3), -0.4, ""),
        (parts(A=0.4, B=0.3, C=0.2, D=0.1), 1.0, "A 40%, B 30%, C 20%"),
        ([], 0.7, ""),
    ],
)
def test_what_speaks_for_an_item(given, score, text):
    assert _because(given, score) == text
