import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.recommender import ids
from include.recommender.ids import Vocabulary

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def vocabulary(names):
    return Vocabulary.checked(pa.array(sorted(set(names), key=str.encode), pa.large_string()))


@given(st.lists(TEXT, max_size=40), st.lists(TEXT, max_size=40))
def test_an_id_is_found_at_its_row_and_no_other_is(known, asked):
    found = vocabulary(known)
    place = {name: row for row, name in enumerate(found.ids.to_pylist())}
    assert [found.find(name) for name in known + asked] == [place.get(name) for name in known + asked]
    assert [name in found for name in asked] == [name in place for name in asked]


@pytest.mark.parametrize("few", [0, 10**6], ids=["by search", "by hashing"])
@given(known=st.lists(TEXT, max_size=40), asked=st.lists(TEXT, max_size=40))
def test_rows_are_the_same_one_by_one_and_all_at_once(few, known, asked):
    found = vocabulary(known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_FEW", few)
        rows = found.rows(pa.array(asked, pa.string()))
        assert rows.dtype == np.int64
        assert found.rows(asked).tolist() == rows.tolist()
    assert rows.tolist() == [-1 if (row := found.find(name)) is None else row for name in asked]
    assert found.names(rows[rows >= 0]) == [name for name in asked if name in found]


@pytest.mark.parametrize("few", [0, 10**6], ids=["by search", "by hashing"])
def test_what_is_no_text_is_not_there(few, monkeypatch):
    monkeypatch.setattr(ids, "_FEW", few)
    assert vocabulary("ab").rows(["\udcff", "b"]).tolist() == [-1, 1]
    assert vocabulary("ab").find("\udcff") is None


def test_some_rows_are_a_vocabulary():
    part = vocabulary("abcdef").take(np.array([1, 4], dtype=np.int32))
    assert part.ids.to_pylist() == ["b", "e"]
    assert part.find("e") == 1


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (pa.array(["b", "a"]), "not in ascending order"),
        (pa.array(["a", "a"]), "not in ascending order"),
        (pa.array(["a", None]), "1 nulls"),
        (pa.array([1, 2]), "int64 .* expected text"),
    ],
)
def test_other_ids_are_refused(names, problem):
    with pytest.raises(ValueError, match=problem):
        Vocabulary.checked(names)


def test_the_digest_is_that_of_the_ids_however_they_are_stored():
    names = [f"item {number}" for number in range(50)] + ["é", "日本"]
    whole = vocabulary(names)
    assert whole.digest == Vocabulary(pa.array([*whole.ids.to_pylist(), "🦆"])[:-1]).digest
    assert whole.digest == vocabulary(names).take(np.arange(len(names))).digest
    assert vocabulary(["ab", "c"]).digest != vocabulary(["a", "bc"]).digest
