"""Ratings as CSV into review lines (local/ratings.py)."""

import gzip

import pytest

from include.recommender.data.lines import Block
from include.recommender.data.reviews import parse_block
from local import ratings

ROWS = ["A1,B1,4.0,1404172800", "A2,B1,1.0,1404259200"]


@pytest.mark.parametrize("head", [[], ["user,item,rating,timestamp"]])
def test_the_parser_reads_what_it_wrote(tmp_path, head):
    source, out = tmp_path / "ratings.csv", tmp_path / "out.jsonl.gz"
    source.write_text("\n".join(head + ROWS) + "\n\n")
    ratings.main([str(source), str(out)])
    parts = parse_block(Block.of(1, gzip.decompress(out.read_bytes())))
    assert [row for part in parts for row in part.rows.to_pylist()] == [
        {"user": "A1", "item": "B1", "time": 1_404_172_800, "rating": 4.0, "verified": -1},
        {"user": "A2", "item": "B1", "time": 1_404_259_200, "rating": 1.0, "verified": -1},
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("A3,B1,5.0", "ratings.csv, line 3: 3 cells, not 4 (user,item,rating,time): 'A3,B1,5.0'"),
        ("A3,B1,5.0,never", "ratings.csv, line 3: could not convert string to float: 'never'"),
        ("A3,B1,5.0,inf", "ratings.csv, line 3: cannot convert float infinity"),
    ],
)
def test_a_bad_line_is_named_and_what_was_there_before_stays(tmp_path, capsys, line, told):
    source, out = tmp_path / "ratings.csv", tmp_path / "out.jsonl.gz"
    source.write_text("\n".join([*ROWS, line]) + "\n")
    out.write_bytes(b"earlier")
    with pytest.raises(SystemExit):
        ratings.main([str(source), str(out)])
    assert told in capsys.readouterr().err
    assert (out.read_bytes(), sorted(tmp_path.iterdir())) == (b"earlier", [out, source])
