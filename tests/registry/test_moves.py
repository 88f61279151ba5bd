"""Moves say what is wrong with them; a history is a stack."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from include.recommender.errors import DataError
from include.recommender.registry.moves import Move, replay
from include.recommender.storage.artifacts import canonical_hash

WHOLE = Move(
    channel="production",
    moved_at="20180903T000000.000000Z",
    from_model=None,
    to_model="m1",
    known_until=datetime(2018, 9, 3, tzinfo=UTC),
    who="me",
    why="why",
    verdict="PROMOTE",
    run="r1",
    number=1,
)


def read(body):
    """A document with the right digest of a wrong content."""
    whole = {**body, "digest": canonical_hash(body)}
    return Move.from_json(json.dumps(whole).encode(), "s3://b/x.json", "Fix it.")


def test_a_move_comes_back_as_it_was():
    assert Move.from_json(WHOLE.to_json(), "x", "y") == WHOLE


def test_a_move_that_was_edited_is_refused():
    edited = WHOLE.to_json().replace(b'"who": "me"', b'"who": "us"')
    with pytest.raises(DataError, match=r"s3://b/x.json: not a move as it was written: its digest is .*Fix it\."):
        Move.from_json(edited, "s3://b/x.json", "Fix it.")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"colour": "red"}, "'colour' is no field of it"),
        ({"who": None}, "who: Expected `str`, got `null`"),
        ({"who": "x" * 201}, "who: Expected `str` of length <= 200"),
        ({"from_model": 7}, "from_model: Expected `str | null`, got `int`"),
        ({"to_model": "../../dags"}, "to_model: Expected `str` matching regex"),
        ({"to_model": "m1\n"}, "to_model: Expected `str` matching regex"),
        ({"channel": "a/b"}, "channel: Expected `str` matching regex"),
        ({"kind": "sideways"}, "kind: Invalid enum value 'sideways'"),
        ({"number": -1}, "number: Expected `int` >= 0"),
        ({"number": True}, "number: Expected `int`, got `bool`"),
        ({"known_until": "yesterday"}, "known_until: Invalid RFC3339 encoded datetime"),
        ({"known_until": "2018-09-03T00:00:00"}, "known_until: Expected `datetime` with a timezone component"),
        ({"moved_at": ""}, "moved_at: Expected `str` matching regex"),
        ({"moved_at": "20181303T000000Z"}, "month must be in 1..12"),
    ],
)
def test_a_damaged_move_names_the_field_the_place_and_the_fix(change, expected):
    with pytest.raises(DataError, match=r"s3://b/x.json: .*Fix it\.") as raised:
        read({**to_builtins(WHOLE), **change})
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    "name", ["channel", "moved_at", "from_model", "to_model", "known_until", "who", "why", "verdict", "run"]
)
def test_a_missing_field_is_named(name):
    body = to_builtins(WHOLE)
    del body[name]
    with pytest.raises(DataError, match=f"the field {name} is missing"):
        read(body)


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"m1"', b"\xff"])
def test_what_is_no_move_is_refused(raw):
    with pytest.raises(DataError, match=r"s3://b/x.json: not a move"):
        Move.from_json(raw, "s3://b/x.json", "Fix it.")


def history_of(*steps):
    """Moves from texts: "a" promotes, "<a" rolls back to a."""
    kinds = {True: "rollback", False: "promote"}
    return [replace(WHOLE, to_model=step.lstrip("<"), kind=kinds[step[0] == "<"]) for step in steps]


@pytest.mark.parametrize(
    ("steps", "stack", "off"),
    [
        ([], "", ""),
        (["a"], "a", ""),
        (["a", "b", "c"], "abc", ""),
        (["a", "b", "c", "<b"], "ab", "c"),
        (["a", "b", "c", "<b", "<a"], "a", "bc"),
        (["a", "b", "c", "<a"], "a", "bc"),
        (["a", "b", "c", "<b", "d"], "abd", "c"),
        (["a", "b", "c", "<b", "d", "<b"], "ab", "cd"),
        (["a", "b", "<a", "b"], "ab", ""),
        (["a", "b", "a", "<b"], "ab", "a"),
        (["a", "b", "a", "c", "<a"], "aba", "c"),
        (["a", "a"], "a", ""),
        (["a", "b", "<x"], "ax", "b"),
    ],
)
def test_a_promotion_pushes_and_a_rollback_pops(steps, stack, off):
    state = replay(history_of(*steps))
    assert "".join(state.stack) == stack
    assert "".join(sorted(state.rolled_back)) == off


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.integers(0, 30))
def test_any_number_of_rollbacks_walks_the_stack_down_and_never_up(pushes, n_rollbacks):
    history = history_of(*pushes)
    before = replay(history).stack
    for _ in range(n_rollbacks):
        stack = replay(history).stack
        if len(stack) < 2:
            break
        history += history_of(f"<{stack[-2]}")
        assert replay(history).stack == stack[:-1]
    assert replay(history).stack == before[: len(replay(history).stack)]
