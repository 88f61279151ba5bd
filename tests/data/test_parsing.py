"""Parsing in threads: errors with file and offset, threads that end, progress, and the same bytes on one core."""

import errno
import gzip
import logging
import os
import re
import subprocess
import sys
import threading
import zlib

import pytest

from include.recommender import progress
from include.recommender.config import ParseConfig
from include.recommender.data.lines import BLOCK_BYTES, PIECE_BYTES
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import ITEMS, QUARANTINE, REVIEWS, USERS
from include.recommender.errors import DataError

from ..conftest import ROOT
from .review_files import MID, lines, parse, write

# Many blocks, so that threads are at work when the error comes.
MANY = [{**MID, "reviewerID": f"U{n * 7919 % 10_007}", "asin": f"{n % 501:04}"} for n in range(60_000)]
TEXT = lines(*MANY)
PACKED = gzip.compress(TEXT, 1)
OURS = ("ahead", "coding")


def own_threads():
    return [each.name for each in threading.enumerate() if each.name.startswith(OURS)]


def test_an_error_far_into_a_file_names_file_and_offset_and_ends_all_threads(tmp_path):
    assert len(TEXT) > 4 * BLOCK_BYTES
    with pytest.raises(DataError, match=r"^a\.json\.gz: truncated .* after (\d+) unpacked bytes") as caught:
        parse(tmp_path, {"a.json.gz": PACKED[: len(PACKED) // 2]})
    offset = int(re.search(r"after (\d+) unpacked", str(caught.value))[1])
    assert len(TEXT) // 4 < offset < len(TEXT) * 3 // 4
    assert own_threads() == []


def test_lines_up_to_a_truncation_are_read(tmp_path):
    bad = b"".join(b'{"no review": %d}\n' % (n * 7919 % 100_003) for n in range(5_000))
    packed = gzip.compress(bad)
    cut = packed[: len(packed) * 3 // 4]
    whole = zlib.decompressobj(31).decompress(cut)
    assert 4 * PIECE_BYTES < len(whole) < BLOCK_BYTES
    with pytest.raises(DataError, match=r"truncated .* after (\d+) unpacked bytes") as caught:
        parse(tmp_path, {"a.json.gz": cut}, max_bad_share=1)
    offset = int(re.search(r"after (\d+) unpacked", str(caught.value))[1])
    assert len(whole) - PIECE_BYTES <= offset <= len(whole)
    kept = gzip.decompress((tmp_path / QUARANTINE).read_bytes())
    assert kept.count(b"\n") == whole[:offset].count(b"\n")


def test_of_two_files_the_second_is_named_and_the_first_was_read(tmp_path):
    with pytest.raises(DataError, match=r"^b\.json\.gz: corrupt gzip data after \d+ unpacked bytes"):
        parse(tmp_path, {"a.json": TEXT + b"{oops\n", "b.json.gz": PACKED[:-8] + bytes(8)})
    assert gzip.decompress((tmp_path / QUARANTINE).read_bytes()).count(b'"line": 60001') == 1
    assert own_threads() == []


def test_threads_end_when_the_consumer_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("include.recommender.data.codes.MOST", 30_000)
    with pytest.raises(DataError, match=r"^More than 30,000 reviews"):
        parse(tmp_path, {"a.json.gz": PACKED})
    assert own_threads() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json.gz", QUARANTINE]


FULL = """
import resource, sys, threading
from pathlib import Path
import numpy as np, pyarrow as pa
from include.recommender.data import codes
from include.recommender.data.columns import GROUP_IDS, ROWS
made, full, n, alive, ahead = Path(sys.argv[1]), int(sys.argv[2]), 4 * GROUP_IDS, [], codes.ahead
def kept(*given):
    # It ends when it is closed, not when it is forgotten.
    alive.append(ahead(*given))
    if len(alive) == full:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    return alive[-1]
codes.ahead = kept
user = pa.array(np.random.default_rng(0).permutation(n)).cast(pa.large_string())
with codes.Coder(made) as coder:
    for start in range(0, n, 50_000):
        users = user[start : start + 50_000]
        rest = [pa.array(np.ones(len(users), np.int64)).cast(field.type) for field in list(ROWS)[1:]]
        coder.write(pa.record_batch([users, *rest], schema=ROWS))
    try:
        coder.finish(*(made / name for name in ("users", "items", "reviews")))
    except OSError as raised:
        print(raised.errno, len(alive) >= full, sum(each.name == "ahead" for each in threading.enumerate()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="files have other limits")
@pytest.mark.parametrize("full", [1, 3], ids=["ids", "reviews"])
def test_no_thread_waits_when_a_file_cannot_be_written(tmp_path, full):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(full)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.stderr) == (f"{errno.EFBIG} True 0\n", "")


def test_progress_goes_by_the_bytes_that_are_read_of_all_files(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    caplog.set_level(logging.INFO)
    parse(tmp_path, {"a.json.gz": PACKED, "b.json.gz": PACKED})
    shares = [int(share) for share in re.findall(r"Parsing: .* MB \((\d+)%\), .* MB/s", "\n".join(caplog.messages))]
    assert shares == sorted(shares)
    assert {50, 100} <= set(shares)


CHILD = """
import os, sys
if sys.argv[1] == "one":
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from pathlib import Path
from include.recommender.config import ParseConfig
from include.recommender.data.parsing import parse_files
made = Path(sys.argv[2])
parse_files([(name, made.parent / name) for name in ("a.json.gz", "b.json")], made, ParseConfig(max_bad_share=0.5))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be bound to a core here")
def test_the_same_bytes_on_one_core_and_on_all(tmp_path):
    write(tmp_path, {"a.json.gz": PACKED, "b.json": b"{oops\n" + TEXT[: len(TEXT) // 2] + b"\n[]\n"})
    written = []
    for cores in ("one", "all"):
        (tmp_path / cores).mkdir()
        subprocess.run([sys.executable, "-c", CHILD, cores, str(tmp_path / cores)], cwd=ROOT, check=True)
        written.append([(tmp_path / cores / name).read_bytes() for name in (REVIEWS, USERS, ITEMS, QUARANTINE)])
    assert written[0] == written[1]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"^gone\.json: cannot be read: No such file"):
        parse_files([("gone.json", tmp_path / "gone.json")], tmp_path, ParseConfig())
