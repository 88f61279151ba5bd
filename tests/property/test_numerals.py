"""A number means the same as JSON number and as text, in every layout: it is judged as it is written."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.recommender.data.decoding import parse_block
from include.recommender.data.lines import Block
from include.recommender.data.numerals import Unusable, rating, seconds

from .test_parse_paths import NEW, OLD

OLDEST = {name: value for name, value in OLD.items() if name != "verified"}
FIELDS = [
    *((row, name) for row in (OLDEST, OLD) for name in ("unixReviewTime", "overall")),
    (NEW, "timestamp"),
    (NEW, "rating"),
]
LOST = "unixReviewTime is not a time to the second: with this exponent its seconds are lost"
RANGE = "unixReviewTime is not a time between 1994 and 2100 in seconds or milliseconds"
NO_NUMBER = "unixReviewTime is not a number"
# How it is written, and the seconds or the reason, as text.
TIMES = {
    "1500100000": 1_500_100_000,
    "1500100000.0": 1_500_100_000,
    "1500100000.5": 1_500_100_000,
    "1500100000.9999999999999": 1_500_100_000,
    "1500100000." + "0" * 5000: 1_500_100_000,
    "1500100000123": 1_500_100_000,
    "1500100000123.75": 1_500_100_000,
    "757382400": 757_382_400,
    "757382399.999999999999": RANGE,
    "4102444799.9999999999": 4_102_444_799,
    "4102444800": RANGE,
    "4102444799999": 4_102_444_799,
    "4102444800000": RANGE,
    **dict.fromkeys(("1.5001e+09", "1.5001E9", "15001e5", "1500100000e0", "1.4415E+12", "1e400", "0e0"), LOST),
    **dict.fromkeys(("0", "-0", "-0.0", "-1500100000", "9223372036854775808", "9" * 21, "9" * 5000), RANGE),
    **dict.fromkeys(("", " ", "true", "null", "NaN", "Infinity", "nan", "inf", "1_500_100_000", "0x59"), NO_NUMBER),
    **dict.fromkeys((" 1500100000", "1500100000 ", "+1500100000", "01500100000", "1,500,100,000"), NO_NUMBER),
    **dict.fromkeys(("\u0661500100000", "\uff11500100000", "1500100000.", ".5", "1500100000\n", "--1"), NO_NUMBER),
}  # fmt: skip
numerals = st.from_regex(r"-?[0-9]{0,22}(\.[0-9]{0,22})?([eE][+-]?[0-9]{0,4})?", fullmatch=True)
near_numerals = st.text("0123456789+-._eExX ,'٣\u00a0", max_size=16)
spellings = st.one_of(
    numerals,
    near_numerals,
    st.integers(-(2**70), 2**70).map(str),
    st.integers(757_382_390, 4_102_444_810).map(str),
    st.integers(757_382_399_990, 4_102_444_800_010).map(str),
    st.floats(0, 4.2e9).flatmap(
        lambda value: st.sampled_from([repr(value), f"{value:e}", f"{value:.3f}", f"{value:g}"])
    ),
    st.sampled_from(list(TIMES)),
)


def written(row, name, value: str) -> bytes:
    """A line with a field as it is given."""
    return json.dumps({**row, name: "@"}).encode().replace(b'"@"', value.encode()) + b"\n"


def outcome(line: bytes):
    """The review of a line, or the reason against it."""
    part = parse_block(Block.of(1, line))
    return [*(bad.reason for bad in part.bad), *(str(row) for row in part.rows.to_pylist())]


def is_json_number(text: str) -> bool:
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda _: {}["no"])
    except (ValueError, KeyError):
        return False
    return text[:1] in tuple("-0123456789") and text.strip() == text


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(FIELDS), spellings)
@example((OLD, "unixReviewTime"), "1.5001e+09")
@example((OLDEST, "overall"), "-0.0")
@example((NEW, "rating"), "5.0000000000000000001")
def test_text_and_number_of_one_spelling_are_one(field, spelling):
    row, name = field
    as_text = outcome(written(row, name, json.dumps(spelling)))
    if is_json_number(spelling):
        assert outcome(written(row, name, spelling)) == as_text
        # Beside a line that is decoded at once, and in it.
        parsed = parse_block(Block.of(1, written(row, name, spelling) * 3))
        assert len(parsed.bad) == (3 if name in as_text[0].split() else 0)
    elif spelling not in ("", *" "):
        assert as_text == [f"{name} is not a number"]


@pytest.mark.parametrize("spelling", TIMES, ids=lambda text: repr(text[:24]))
def test_times(spelling):
    try:
        found = seconds(spelling, "unixReviewTime")
    except Unusable as reason:
        found = str(reason)
    assert found == TIMES[spelling]


def test_a_rating_may_have_an_exponent_and_no_negative_zero():
    assert rating("4.5e+00", "overall") == 4.5
    assert str(rating("-0.0", "overall")) == "0.0"
    for spelling in ("5.1", "-1e-300", "1e400", "6e0"):
        with pytest.raises(Unusable, match="overall is not between 0 and 5"):
            rating(spelling, "overall")


def test_negative_zero_leaves_no_other_bytes():
    at_once, one_by_one = (written(OLD, "overall", value) for value in ("-0.0", '"-0.0"'))
    for line in (at_once, one_by_one):
        part = parse_block(Block.of(1, line))
        assert str(part.rows.column("rating")[0].as_py()) == "0.0"
