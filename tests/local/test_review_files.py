"""Review files that no run could use are refused before anything starts, in the words of the task."""

import gzip
from pathlib import Path

import pytest

from include.recommender.config import ParseConfig
from include.recommender.data.parsing import parse_files
from include.recommender.errors import DataError
from local import run
from local.given import Given
from local.review_files import check_reviews
from local.uploads import find_reviews

from .. import worlds
from ..data.foreign_files import FOREIGN

GOOD = worlds.lines(worlds.reviews(n_users=3))
BAD = {
    "cut.json.gz": gzip.compress(GOOD)[:-20],
    "page.json.gz": b"<html>404</html>",
    "empty.json": b"",
    "array.json": b"[" + GOOD.replace(b"\n", b",") + b"]",
    "ratings.json": b"U1,A1,5.0,1400000000\nU2,A2,4.0,1400000001\n",
    "other.json": b'{"user": 1, "movie": 2}\n' * 3,
}


# And one of each kind of foreign file.
BAD |= {f"{kind}.json": contents[0] for kind, (contents, _) in FOREIGN.items()}


@pytest.mark.parametrize("name", BAD)
def test_what_the_task_would_refuse_is_refused_before_anything_starts(name, tmp_path, capsys):
    path, local = tmp_path / name, tmp_path / ".local"
    path.write_bytes(BAD[name])
    with pytest.raises(DataError) as early:
        check_reviews(find_reviews(str(path)), ParseConfig())
    with pytest.raises(DataError) as late:
        parse_files([(name, path)], tmp_path, ParseConfig())
    assert str(early.value) == str(late.value)
    assert run.main(["--reviews", str(path), "--local", str(local)]) == 1
    assert name in capsys.readouterr().err
    assert not local.exists()


def test_an_empty_file_beside_a_good_one_is_named_and_no_reason_to_refuse(tmp_path, capsys):
    (tmp_path / "a.json").write_bytes(b"")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b"no review\n" + GOOD))
    check_reviews(find_reviews(str(tmp_path)), ParseConfig())
    out = capsys.readouterr().out
    assert "Reading 2 file(s), 0.0 MB" in out
    assert "a.json is empty" in out
    assert "Read 2 of 2 given" in out


def test_a_file_that_breaks_while_it_is_read_is_named():
    """Reading a process's memory from its start fails, as a broken disk does."""
    broken = Given(Path("/proc/self/mem"), "Toys.json")
    with pytest.raises(DataError, match=r"^Toys\.json: cannot be read: Input/output error"):
        check_reviews([broken], ParseConfig())


def test_a_name_with_escapes_is_shown_and_not_obeyed(tmp_path, capsys):
    (tmp_path / "a\x1b[2J\u202egpj.json").write_bytes(b"<html>")
    assert run.main(["--reviews", str(tmp_path), "--local", str(tmp_path / ".local")]) == 1
    output = capsys.readouterr()
    assert "a\\x1b[2J\\u202egpj.json: is HTML" in output.err
    assert "\x1b" not in output.out + output.err
