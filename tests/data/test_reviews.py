"""Parsing sound reviews: layouts, counts, codes, and the same bytes for the same reviews."""

import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.data import codes as coding
from include.recommender.data.columns import ROWS as SCHEMA
from include.recommender.data.decoding import parse_block
from include.recommender.data.lines import Block
from include.recommender.data.reviews import ITEMS, QUARANTINE, REVIEWS, USERS, Reviews, load_vocabulary
from include.recommender.data.scanning import scan

from .review_files import MID, NEW, OLD, interactions, lines, parse


def test_each_layout_is_recognised_by_its_fields():
    parsed = parse_block(Block.of(1, lines(OLD, MID, NEW)))
    assert parsed.layouts == {"2014": 1, "2018": 1, "2023": 1}
    assert parsed.rows.to_pylist() == [
        {"user": "U1", "item": "0001", "time": 1_400_000_000, "rating": 5.0, "verified": -1, "newer": False},
        {"user": "U1", "item": "0001", "time": 1_400_000_000, "rating": 5.0, "verified": 1, "newer": False},
        {"user": "U2", "item": "B2", "time": 1_600_000_000, "rating": 4.0, "verified": 0, "newer": True},
    ]


def test_counts(tmp_path):
    odd = {**OLD, "overall": 3.7, "unixReviewTime": 1_300_000_000}
    counts = parse(tmp_path, {"a.json": lines(OLD, MID, b"", b"{oops"), "b.json": lines(NEW, odd)}, max_bad_share=0.5)
    assert counts == {
        "files": 2,
        "lines": 6,
        "blank": 1,
        "reviews": 4,
        "bad": 1,
        "first_s": 1_300_000_000,
        "last_s": 1_600_000_000,
        "ends": {"first_s": None, "last_s": None, "deep_first_s": None, "deep_last_s": None},
        "years": {"2011": 1, "2014": 2, "2020": 1},
        "verified": 1,
        "unverified": 1,
        "verified_unknown": 2,
        "ratings": {"3.5": 1, "4.0": 1, "5.0": 2},
        "layouts": {"2014": 2, "2018": 1, "2023": 1},
        "layout_files": {"2014": ["a.json", "b.json"], "2018": ["a.json"], "2023": ["b.json"]},
        "reasons": {"not JSON": 1},
        "newest_s": 1_600_000_000,
        "quarantined": 1,
        "users": 2,
        "items": 2,
        "users_by_layout": {"older": 1, "newer": 1, "both": 0},
    }


ROWS = [
    {**MID, "reviewerID": f"U{n % 7}", "asin": f"{n % 5:04}", "overall": n % 6, "unixReviewTime": 1_400_000_000 + n}
    for n in range(40)
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]], ids=["forward", "backward"])
def test_codes_are_ranks_of_the_sorted_ids_whatever_the_order(tmp_path, rows):
    parse(tmp_path, {"a.json": lines(*rows)})
    assert load_vocabulary(tmp_path / USERS).ids.to_pylist() == [f"U{n}" for n in range(7)]
    assert load_vocabulary(tmp_path / ITEMS).ids.to_pylist() == ["0000", "0001", "0002", "0003", "0004"]
    wanted = [(r["reviewerID"], r["asin"], r["unixReviewTime"], float(r["overall"]), 1) for r in rows]
    assert interactions(tmp_path) == wanted


def test_the_same_reviews_give_the_same_bytes(tmp_path):
    half = {"a.json": lines(*ROWS[:20], b"{oops"), "b.json": lines(*ROWS[20:], NEW)}
    packed = {"a.json": gzip.compress(half["a.json"]), "b.json": half["b.json"]}
    written = []
    for number, files in enumerate((half, dict(reversed(half.items())), packed)):
        directory = tmp_path / str(number)
        directory.mkdir()
        parse(directory, files, max_bad_share=0.5)
        written.append([(directory / name).read_bytes() for name in (REVIEWS, USERS, ITEMS, QUARANTINE)])
    assert written[0] == written[1] == written[2]


def as_rows(pairs):
    """Reviews of (user, item) pairs; the number of each is its time."""
    users, items = zip(*pairs, strict=True)
    plain = pa.array([1] * len(pairs))
    return pa.record_batch(
        [pa.array(users, pa.large_string()), pa.array(items, pa.large_string()), pa.array(range(len(pairs)))]
        + [plain.cast(field.type) for field in list(SCHEMA)[3:]],
        schema=SCHEMA,
    )


ids = st.one_of(
    st.sampled_from(["A", "AB", "B", "b", "\u00e9", "\U0001f600", "\uffff"]), st.text("ab\u00ff\U00010000", min_size=1)
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(ids, ids), min_size=1, max_size=60), st.integers(1, 400), st.integers(1, 5), st.integers(1, 20)
)
def test_codes_and_bytes_do_not_depend_on_how_rows_come(rows, stretch_bytes, run_ids, batch):
    wanted_users, wanted_items = (sorted({row[at] for row in rows}, key=str.encode) for at in (0, 1))
    table, written = as_rows(rows), []
    for sizes in ((64 << 20, 2048, len(rows)), (stretch_bytes, run_ids, batch)):
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as made:
            patch.setattr(coding, "STRETCH_BYTES", sizes[0])
            patch.setattr(coding, "RUN_IDS", sizes[1])
            patch.setattr(coding, "GROUP_ROWS", 7)
            with coding.Coder(Path(made)) as coder:
                for start in range(0, len(rows), sizes[2]):
                    coder.write(table.slice(start, sizes[2]))
                coded = coder.finish(*(Path(made) / name for name in (USERS, ITEMS, REVIEWS)))
            assert (coded.users, coded.items) == (len(wanted_users), len(wanted_items))
            assert load_vocabulary(Path(made) / USERS).ids.to_pylist() == wanted_users
            assert load_vocabulary(Path(made) / ITEMS).ids.to_pylist() == wanted_items
            found = Reviews.load(Path(made))
            assert [(wanted_users[u], wanted_items[i]) for u, i in zip(found.user, found.item, strict=True)] == rows
            assert found.time.tolist() == list(range(len(rows)))
            assert sorted(path.name for path in Path(made).iterdir()) == sorted([USERS, ITEMS, REVIEWS])
            written.append([(Path(made) / name).read_bytes() for name in (REVIEWS, USERS, ITEMS)])
    assert written[0] == written[1]


def test_a_failed_parse_leaves_the_quarantine_and_no_rows(tmp_path):
    with pytest.raises(Exception, match=r"b\.json\.gz: truncated"):
        parse(tmp_path, {"a.json": lines(OLD, b"{oops"), "b.json.gz": gzip.compress(lines(*ROWS))[:-9]})
    (line,) = gzip.decompress((tmp_path / QUARANTINE).read_bytes()).splitlines()
    assert json.loads(line) == {"file": "a.json", "line": 2, "reason": "not JSON", "excerpt": "{oops"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json.gz", QUARANTINE]


def test_one_irregular_line_leaves_the_others_to_the_compiled_loop():
    rows = [lines(ROWS[n % 40]) for n in range(4096)]
    rows[1000] = b"{oops\n"
    found = scan(b"".join(rows), len(rows))
    assert np.flatnonzero(~found.regular).tolist() == [1000]
    parsed = parse_block(Block.of(1, b"".join(rows)))
    assert ([bad.line for bad in parsed.bad], parsed.rows.num_rows) == ([1001], 4095)


def test_memory_does_not_grow_with_an_endless_line_or_many_bad_ones(tmp_path):
    tracemalloc = pytest.importorskip("tracemalloc")
    endless, bad = lines(OLD) + b"x" * (60 << 20), lines(OLD) + b"x\n" * (1 << 17)
    for name, data in (("endless.json.gz", endless), ("bad.json.gz", bad)):
        packed = gzip.compress(data)
        del data
        tracemalloc.start()
        parse(tmp_path, {name: packed}, max_bad_share=1.0, max_expansion=10_000.0, max_line_bytes=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 << 20, name


def test_a_file_of_bad_lines_fills_no_quarantine(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("include.recommender.data.quarantine.KEPT_A_REASON", 3)
    data = lines(OLD, *[b"{oops"] * 50, *[b"5"] * 2, OLD)
    counts = parse(tmp_path, {"a.json": data}, max_bad_share=1.0)
    kept = [json.loads(line) for line in gzip.decompress((tmp_path / QUARANTINE).read_bytes()).splitlines()]
    assert [(row["line"], row["reason"]) for row in kept] == [
        *((n, "not JSON") for n in (2, 3, 4)),
        *((n, "not a JSON object") for n in (52, 53)),
    ]
    assert (counts["bad"], counts["quarantined"]) == (52, 5)
    assert counts["reasons"] == {"not JSON": 50, "not a JSON object": 2}
    assert "the quarantine keeps 3 such lines" in caplog.text


def two_generations(n_shared):
    """Reviews of 200 users in the 2018 layout and of 100 in that of 2023, some of them the same."""
    old = [{**MID, "reviewerID": f"A{n}"} for n in range(200)]
    return lines(*old), lines(*({**NEW, "user_id": f"A{n}" if n < n_shared else f"AE{n}"} for n in range(100)))


@pytest.mark.parametrize(("n_shared", "warned"), [(0, True), (1, False), (60, False)])
@pytest.mark.parametrize("apart", [True, False])
def test_generations_whose_users_do_not_meet_are_named(tmp_path, caplog, n_shared, warned, apart):
    old, new = two_generations(n_shared)
    counts = parse(tmp_path, {"old.json": old, "new.json": new} if apart else {"both.json": old + new})
    assert counts["users_by_layout"] == {"older": 200, "newer": 100, "both": n_shared}
    assert ("users do not meet: 200 users in the 2014 or 2018 layout, 100 in that of 2023" in caplog.text) == warned
    if warned and apart:
        assert "2018: old.json; 2023: new.json" in caplog.text


@pytest.mark.parametrize("which", [0, 1])
def test_one_generation_alone_warns_of_nothing(tmp_path, caplog, which):
    parse(tmp_path, {"a.json": two_generations(0)[which]})
    assert "do not meet" not in caplog.text
