"""Names of objects: as many as files, whatever the files are called, and the same in every order."""

import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.recommender.data.file_names import ENDINGS, ending, left_out
from local.given import Given
from local.object_names import NAME_BYTES, PART_BYTES, object_names


def files(*names: str) -> list[Given]:
    """Files of these names, each in a folder of its own."""
    return [Given(Path(f"/given/{number}/{name}"), name) for number, name in enumerate(names)]


def folded(name: str) -> str:
    """As a disk sees it that tells neither capitals nor ways to write an accent."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


@pytest.mark.parametrize(
    "name", ["x.json", "2-x.json", "Toys_5[1].json", "year=2018/part 0.jsonl.gz", "Müller 日本.JSON"]
)
def test_a_name_that_nothing_comes_near_is_kept(name):
    assert list(object_names(files(name, "other.json"))) == [name, "other.json"]


CLASHING = [
    ["2-x.json", "x.json", "x.json"],
    ["x.json", "2-x.json", "x.json", "2-x.json", "1-x.json", "3-x.json"],
    ["x.json", "X.JSON"],
    ["caf\u00e9.json", "cafe\u0301.json"],
    ["straße.json", "STRASSE.json"],
    ["x.json", "x.json/y.json"],
    ["a\x1bb.json", "a-b.json", "a\nb.json"],
    ["_x.json", ".x.json", "x.json"],
    ["c.gz", "c.jsonl.gz"],
    ["a" * 250 + ".json", "a" * 251 + ".json"],
]


@pytest.mark.parametrize("names", CLASHING)
def test_names_that_come_too_near_are_distinguished(names):
    found = object_names(files(*names))
    assert len({folded(name) for name in found}) == len(names)


def test_a_file_called_as_another_one_is_renamed_to_is_renamed_too():
    two = files("x.json", "x.json")
    taken = list(object_names(two))
    three = [*two, Given(Path("/given/9/it"), taken[0])]
    assert sorted(file.path for file in object_names(three).values()) == sorted(file.path for file in three)


PARTS = st.text(st.sampled_from("aAbé\u0301_.~-1[] \x1b\n\u202e\\ßx日"), min_size=1, max_size=6) | st.sampled_from(
    ["x", "X", "2-x", "x.meta", "_temporary", "..", "a" * 250, "é" * 125]
)
ENDS = st.sampled_from([*ENDINGS, ".JSON", ".Json.GZ", ".gz"])
NAMES = st.tuples(st.lists(PARTS, min_size=1, max_size=3), ENDS).map(lambda row: "/".join(row[0]) + row[1])


@settings(deadline=None)
@given(st.lists(NAMES, max_size=9), st.randoms(use_true_random=False))
@example(["x.json", "x.json", "2-x.json"], __import__("random").Random(1))
def test_any_names_give_as_many_objects_in_any_order(names, random):
    given_files = files(*names)
    found = object_names(given_files)
    assert set(found.values()) == set(given_files)
    assert len({folded(name) for name in found}) == len(given_files)
    for name, file in found.items():
        assert left_out(name) is None
        assert name.isprintable()
        assert all(len(part.encode()) <= PART_BYTES for part in name.split("/"))
        assert len(name.encode()) <= NAME_BYTES + PART_BYTES
        assert ending(name) == ending(file.name) or not ending(file.name)
        assert not name.lower().endswith(".meta.json")
    folders = {folded(str(above)) for name in found for above in PurePosixPath(name).parents}
    assert not folders & {folded(name) for name in found}
    shuffled = list(given_files)
    random.shuffle(shuffled)
    assert object_names(shuffled) == found


@settings(deadline=None)
@given(st.lists(NAMES, max_size=6), NAMES)
def test_another_file_renames_only_those_that_it_comes_near(names, more):
    given_files = files(*names, more)
    before, after = object_names(given_files[:-1]), object_names(given_files)
    (mine,) = (name for name, file in after.items() if file == given_files[-1])
    renamed = set(before) - set(after)
    assert all(_near(name, _own_name(given_files[-1])) for name in renamed), (mine, renamed)


def _own_name(file: Given) -> str:
    (name,) = object_names([file])
    return name


def _near(one: str, other: str) -> bool:
    one, other = folded(one), folded(other)
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
