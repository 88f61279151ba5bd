"""Moves say what is wrong with them; a history is a stack."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.recommender.errors import DataError
from include.recommender.registry.moves import Move, replay

WHOLE = Move("production", "20180903T000000.000000Z", None, "m1", "2018-09-03", "me", "why", "PROMOTE", "r1", number=1)


def read(body):
    return Move.from_json(json.dumps(body).encode(), "s3://b/x.json", "Mend it.")


def test_a_move_comes_back_as_it_was():
    assert Move.from_json(WHOLE.to_json(), "x", "y") == WHOLE


def test_an_entry_of_before_kinds_and_numbers_reads_as_a_promotion():
    body = {name: value for name, value in asdict(WHOLE).items() if name not in {"kind", "number"}}
    assert (read(body).kind, read(body).number) == ("promote", 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"colour": "red"}, "unknown field colour"),
        ({"who": None}, "who=None: expected text"),
        ({"from_model": 7}, "from_model=7"),
        ({"kind": "sideways"}, "kind='sideways': expected one of promote, rollback, force"),
        ({"number": -1}, "number=-1"),
        ({"number": True}, "number=True"),
        ({"as_of": "yesterday"}, "as_of='yesterday'"),
        ({"moved_at": ""}, "moved_at=''"),
    ],
)
def test_a_damaged_move_names_the_field_the_place_and_the_mend(change, says):
    with pytest.raises(DataError, match=r"s3://b/x.json: .*Mend it\.") as raised:
        read({**asdict(WHOLE), **change})
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "name", ["channel", "moved_at", "from_model", "to_model", "as_of", "who", "why", "verdict", "run"]
)
def test_a_missing_field_is_named(name):
    body = asdict(WHOLE)
    del body[name]
    with pytest.raises(DataError, match=f"missing field {name}"):
        read(body)


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"m1"', b"\xff"])
def test_what_is_no_move_is_refused(raw):
    with pytest.raises(DataError, match=r"s3://b/x.json: not a move"):
        Move.from_json(raw, "s3://b/x.json", "Mend it.")


def told(*steps):
    """Moves from texts: "a" promotes, "<a" rolls back to a."""
    return [
        Move("c", "20180903T000000Z", None, step.lstrip("<"), "2018-09-03", "", "", "", "")
        if step[0] != "<"
        else Move("c", "20180903T000000Z", None, step[1:], "2018-09-03", "", "", "", "", kind="rollback")
        for step in steps
    ]


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
    standing = replay(told(*steps))
    assert "".join(standing.stack) == stack
    assert "".join(sorted(standing.rolled_back)) == off


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.integers(0, 30))
def test_any_number_of_rollbacks_walks_the_stack_down_and_never_up(pushes, n_rollbacks):
    history = told(*pushes)
    before = replay(history).stack
    for _ in range(n_rollbacks):
        stack = replay(history).stack
        if len(stack) < 2:
            break
        history += told(f"<{stack[-2]}")
        assert replay(history).stack == stack[:-1]
    assert replay(history).stack == before[: len(replay(history).stack)]
