"""How any stored document is read and written."""

import json

import msgspec
import numpy as np
import pytest

from include.recommender.errors import DataError
from include.recommender.storage.documents import Count, Origin, checked, decode, plain, to_json

ORIGIN = Origin("s3://b/x.json", "an example", "Fix it.")


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    count: Count


class Whole(msgspec.Struct, forbid_unknown_fields=True):
    a: int
    b: int
    inner: Inner
    share: float = 0.0


class Part(msgspec.Struct):
    a: int


WHOLE = Whole(1, 2, Inner(3), 0.5)


def test_a_document_comes_back_as_it_was():
    assert decode(to_json(WHOLE), Whole, ORIGIN) == WHOLE


def test_what_is_wrong_is_named_before_what_is_missing():
    with pytest.raises(DataError) as caught:
        checked({"inner": {"count": -1}, "c": 1}, Whole, ORIGIN)
    assert str(caught.value) == (
        "s3://b/x.json: not an example ('c' is no field of it; inner.count: Expected `int` >= 0; the field a is "
        "missing; the field b is missing). Fix it."
    )


def test_a_part_reads_over_the_rest_and_a_whole_does_not():
    body = json.loads(to_json(WHOLE))
    assert checked(body, Part, ORIGIN) == Part(1)
    with pytest.raises(DataError, match="'extra' is no field of it"):
        checked({**body, "extra": 1}, Whole, ORIGIN)


@pytest.mark.parametrize("value", [True, 1.5, "1", None, []])
def test_no_value_is_bent_into_another_type(value):
    with pytest.raises(DataError, match=r"a: Expected `int`, got"):
        checked({**plain(WHOLE), "a": value}, Whole, ORIGIN)


@pytest.mark.parametrize("raw", [b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[" * 100, b'{"a": 1e999}', b"\xff"])
def test_json_that_others_would_take_is_refused_before_any_type_is_asked(raw):
    with pytest.raises(DataError, match=r"s3://b/x.json: not JSON of this project.*Fix it\."):
        decode(raw, Part, ORIGIN)


def test_numpy_floats_are_floats_and_no_number_at_all_is_refused():
    assert to_json(Whole(1, 2, Inner(3), np.float64(0.5))) == to_json(WHOLE)
    with pytest.raises(DataError, match="holds a number that JSON cannot keep"):
        to_json(Whole(1, 2, Inner(3), float("nan")))
    with pytest.raises(TypeError, match="ndarray cannot be stored"):
        plain({"a": np.zeros(2)})
