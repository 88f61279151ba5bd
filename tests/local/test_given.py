"""Files named on a command line: an existing path is that file, and nothing is read twice or lost."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from include.recommender.errors import ConfigError
from local.given import find, words


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def put(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")


def names(wanted: str) -> list[str]:
    return sorted(file.name for file in find(wanted, "REVIEWS"))


ODD = [
    "Toys_5[1].json",
    "[shop] data/Toys.json",
    "what?.json",
    "all*.json",
    "~x.json",
    "~/x.json",
    "$HOME.json",
    "two  blanks.json",
    " at both ends.json ",
    "Bob's.json",
    '"quoted".json',
    "back\\slash.json",
    "line\nfeed.json",
    "#hash;and&pipe|.json",
    "日本 é.json",
    "-dash.json",
]


@pytest.mark.parametrize("name", [name for name in ODD if name.endswith(".json")])
def test_an_existing_path_is_that_file(name):
    put(name, "plain.json")
    assert names(name) == [Path(name).name]
    assert names(f"{name} plain.json") == sorted([Path(name).name, "plain.json"])
    assert names(f"plain.json {name}") == sorted([Path(name).name, "plain.json"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@drawn(st.lists(st.text(st.sampled_from("ab []*?~$'\"\\#\n"), min_size=1, max_size=12), min_size=1, max_size=5))
@example(["'", "a"])
def test_existing_paths_joined_by_blanks_are_those_paths(here, stems):
    paths = [f"{here}/{number}{stem}.json" for number, stem in enumerate(stems)]
    for path in paths:
        Path(path).touch()
    assert words(" ".join(paths), "REVIEWS") == paths


def test_many_names_are_longer_than_a_path_may_be():
    put(*(f"{n:03}-{'x' * 40}.json" for n in range(120)))
    assert len(names(" ".join(sorted(os.listdir())))) == 120


def test_quotes_are_the_shells_where_nothing_of_that_name_exists(here):
    put("a b.json", "c.json")
    assert names("'a b.json' c.json") == ["a b.json", "c.json"]
    assert names("a\\ b.json") == ["a b.json"]
    assert names('"a b.json"') == ["a b.json"]
    with pytest.raises(ConfigError, match="a quote is not closed"):
        find("c.json 'oops.json", "REVIEWS")


def test_existing_folders_are_no_part_of_a_pattern(here):
    put("data[1]/a.json", "data1/b.json", "[shop] x/_c.json", "[shop] x/d.json", "*/e.json")
    assert names("data[1]/*.json") == ["a.json"]
    assert names(f"{here}/data[1]/?.json") == ["a.json"]
    assert names("'[shop] x/*.json'") == ["d.json"]
    assert names("*/*.json") == ["e.json"]
    assert names("data?/*.json") == ["data1/b.json"]
    with pytest.raises(ConfigError, match=r"REVIEWS=\[shop\]: matches no file .*quote a pattern with blanks"):
        find("[shop] x/*.json", "REVIEWS")


def test_home_is_meant_by_a_tilde_that_is_no_name():
    put("home/a.json", "home/b.json")
    assert names("~/a.json") == ["a.json"]
    assert names("~/*.json") == ["a.json", "b.json"]


@pytest.mark.parametrize("target", ["../../blobs/3f1a9c", None])
def test_a_link_keeps_its_own_name(here, target):
    put("blobs/3f1a9c")
    Path("snapshots/rev1").mkdir(parents=True)
    Path("snapshots/rev1/Toys.jsonl").symlink_to(target or here / "blobs/3f1a9c")
    for wanted in ("snapshots/rev1", "snapshots/rev1/Toys.jsonl", "snapshots/*/Toys.jsonl"):
        (file,) = find(wanted, "REVIEWS")
        assert file.path.name == "Toys.jsonl"
        assert file.path.read_text() == "blobs/3f1a9c\n"


def test_a_link_to_a_folder_is_followed_and_one_that_leads_back_up_is_named(capsys):
    put("real/a.json")
    Path("top").mkdir()
    Path("top/linked").symlink_to("../real")
    Path("top/loop").symlink_to(".")
    assert names("top") == ["linked/a.json"]
    assert "top/loop leads back to a folder above it" in capsys.readouterr().out


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere.json")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


SPECIAL = {
    "is a link to nowhere.json, which does not exist": _dangling,
    "is a link that leads back to itself": _loop,
    "is a pipe, not a file": os.mkfifo,
    "is a socket, not a file": _socket,
}


@pytest.mark.parametrize("wanted", ["x.json", ".", "*.json"])
@pytest.mark.parametrize(("expected", "make"), SPECIAL.items(), ids=SPECIAL)
def test_what_is_no_file_is_named(expected, make, wanted):
    put("good.json")
    make(Path("x.json"))
    with pytest.raises(ConfigError, match=rf"x\.json: {expected}"):
        find(wanted, "REVIEWS")


def test_a_device_is_named():
    with pytest.raises(ConfigError, match="/dev/null: is a device, not a file"):
        find("/dev/null", "REVIEWS")


@pytest.fixture
def nobody():
    """A folder that everybody may enter, and this process as a user that is not root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "x.json").touch(mode=0o200)
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(mine)
    shutil.rmtree(folder)


def test_a_file_that_may_not_be_read_is_named(nobody):
    for wanted in (nobody, nobody / "x.json"):
        with pytest.raises(ConfigError, match=r"x\.json: you may not read it"):
            find(str(wanted), "REVIEWS")


@pytest.fixture
def closed(nobody):
    """A folder that nobody may enter, with a file in it, and a link to that file beside it."""
    mine = os.geteuid()
    os.seteuid(0)
    (nobody / "x.json").unlink()
    (nobody / "shut").mkdir(mode=0o700)
    (nobody / "shut" / "b.json").write_text("{}")
    (nobody / "link.json").symlink_to(nobody / "shut" / "b.json")
    os.seteuid(mine)
    yield nobody
    os.seteuid(0)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_what_lies_in_a_closed_folder_is_no_traceback_and_no_missing_file(closed):
    for wanted in ("shut/b.json", "shut/*.json", "shut/deeper/b.json"):
        with pytest.raises(ConfigError, match=r"you may not search .*/shut"):
            find(str(closed / wanted), "REVIEWS")
    for wanted in ("link.json", "*.json", "l*"):
        with pytest.raises(ConfigError, match=r"link\.json: cannot be read: Permission denied"):
            find(str(closed / wanted), "REVIEWS")
    with pytest.raises(ConfigError, match=r"link\.json: cannot be read|shut: cannot be listed"):
        find(str(closed), "REVIEWS")


@pytest.mark.parametrize("address", ["s3://bucket/x.json.gz", "https://example.org/x.json.gz", "file:///x.json"])
def test_an_address_is_no_path(address):
    with pytest.raises(ConfigError, match="is an address, and not a path"):
        find(address, "REVIEWS")


def test_names_of_jobs_and_systems_are_left_out_and_named(capsys):
    put("out/part-0.json", "out/_temporary/0/task_1/part-0.json", "out/._part-0.json", "out/.part-0.json.crc")
    put("out/_SUCCESS", "out/year=2018/part-0.json", "out/year=2019/part-0.json", "out/README.md", "out/r.csv.gz")
    expected = ["part-0.json", "year=2018/part-0.json", "year=2019/part-0.json"]
    assert names("out") == expected
    output = capsys.readouterr().out
    assert "left out: ._part-0.json, .part-0.json.crc, _SUCCESS, _temporary/ (names that begin with _ or ." in output
    assert "left out: README.md (its name does not end in" in output
    assert "left out: r.csv.gz (CSV; python -m local.ratings makes reviews of ratings)" in output
    assert names("out/*") == expected
    assert names("out/**/*.json") == expected
    assert "_temporary/0/task_1/part-0.json" in capsys.readouterr().out


def test_what_is_named_itself_is_read_whatever_its_name_begins_with():
    put("_temporary/0/part-0.json", "_x.json", ".cache/hub/Toys.jsonl")
    assert names("_temporary/0") == ["part-0.json"]
    assert names("_x.json") == ["_x.json"]
    assert names("_*.json") == ["_x.json"]
    assert names(".cache/hub/*.jsonl") == ["Toys.jsonl"]


@pytest.mark.parametrize("ending", [".JSON", ".Jsonl", ".JSON.GZ", ".gz"])
def test_endings_are_known_in_capitals(ending):
    put(f"TOYS{ending}")
    assert names(".") == names(f"TOYS{ending}") == [f"TOYS{ending}"]


@pytest.mark.parametrize("again", ["x.json", "./x.json", "sub/../x.json", "link.json", "hard.json", "*x.json"])
def test_a_file_that_is_given_again_is_read_once_with_a_line(again, capsys):
    put("x.json", "sub/y.json")
    Path("link.json").symlink_to("x.json")
    os.link("x.json", "hard.json")
    (file,) = find(f"x.json {again}", "REVIEWS")
    output = capsys.readouterr().out
    assert "read once" in output
    assert (file,) == tuple(find(f"{again} x.json", "REVIEWS"))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("ratings.csv", b"U1,B1,5.0,1400000000\n", r"ratings\.csv \(CSV; python -m local\.ratings"),
        ("ratings.csv.gz", b"\x1f\x8b", r"ratings\.csv\.gz \(CSV; python -m local\.ratings"),
        ("Toys.parquet", b"PAR1....PAR1", r"It is a Parquet file"),
        ("Toys.txt", b'{"reviewerID": "U1"}\n', r"If it holds reviews, rename it"),
        ("notes.txt", b"hello\n", r"Its first line begins 'hello'"),
    ],
)
def test_a_file_of_another_ending_is_named_with_what_it_is(name, content, expected):
    Path(name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"(?s)matches 1 file\(s\), none of which is a review file.*{expected}"):
        find(name, "REVIEWS")


def test_a_folder_without_reviews_names_what_it_holds():
    put("out/_SUCCESS", "out/a.csv")
    with pytest.raises(ConfigError, match=r"none of which is a review file: .*a\.csv \(CSV.*_SUCCESS"):
        find("out", "REVIEWS")
    Path("empty").mkdir()
    with pytest.raises(ConfigError, match="is a folder without files"):
        find("empty", "REVIEWS")
