"""A stored verdict: what belongs together is there together, and a fault is named with its path."""

import pytest
from msgspec import ValidationError, to_builtins

from include.recommender.errors import DataError
from include.recommender.registry.verdict import Verdict
from include.recommender.storage.documents import Origin, checked

from ..documents import ABOVE, changed, verdict

ORIGIN = Origin("s3://b/verdict.json", "a verdict", "Clear the task.")


def test_it_comes_back_as_it_was():
    assert checked(to_builtins(verdict()), Verdict, ORIGIN) == verdict()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"reference": "earlier_1"}, "expected all or none"),
        ({"reference_recall": 0.1, "against_reference": ABOVE, "reference_level": 0.95}, "expected all or none"),
        ({"champion_recall": 0.1}, "expected both or none"),
        ({"against_champion": ABOVE}, "expected both or none"),
    ],
)
def test_what_belongs_together_is_there_together(change, expected):
    with pytest.raises(ValidationError, match=expected):
        changed(verdict(), **change)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"n_users": -1}, "n_users: Expected `int` >= 0"),
        ({"against_popularity": {"mean": 0.1, "low": "0", "high": 0.2}}, "against_popularity.low: Expected `float`"),
        (
            {"intervals": {"popularity_30d": {"mean": 0.1, "low": 0.0}}},
            r"intervals\['popularity_30d'\]: Object missing",
        ),
        ({"versions": [{"name": "../x"}]}, r"versions\[0\].name: Expected `str` matching regex"),
        ({"colour": "red"}, "'colour' is no field of it"),
    ],
)
def test_a_fault_is_named_with_its_path_and_what_to_do(change, expected):
    body = {**to_builtins(verdict()), **change}
    with pytest.raises(DataError, match=rf"s3://b/verdict.json: not a verdict \({expected}.*Clear the task\."):
        checked(body, Verdict, ORIGIN)


@pytest.mark.parametrize(("decision", "forced", "goes"), [("PROMOTE", None, 1), ("HOLD", None, 0), ("HOLD", "why", 1)])
def test_it_publishes_on_promote_or_by_force(decision, forced, goes):
    assert verdict(decision=decision, forced=forced).publishes == bool(goes)
