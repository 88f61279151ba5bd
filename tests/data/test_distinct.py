"""Distinct ids in the order of their UTF-8, against Python's own sets and sorting."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.recommender.data.distinct import _hash, ranked

texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.text("\0a", max_size=30),
    st.integers(0, 40).map(lambda n: "A" + "\0" * n),
    st.integers(0, 30).map(lambda n: "the same beginning of all of them " + "x" * n),
    st.integers(0, 300).map(str),
)


def check(ids, begin=0):
    codes, found = ranked(pa.array(["before"] * begin + ids, pa.large_string()).slice(begin))
    wanted = sorted(set(ids), key=str.encode)
    assert found.to_pylist() == wanted
    assert [wanted[code] for code in codes.tolist()] == ids


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, max_size=120), st.integers(0, 3))
@example([], 0)
@example(["", "a", ""], 1)
@example(["A" + "\0" * n for n in range(18)], 0)
@example(["\0" * n for n in range(300, 0, -1)] + ["\0" * 20 + "a", ""], 0)
@example(["ab", "a", "abc", "a" * 8, "a" * 9, "a" * 16], 0)
def test_codes_and_sorted_ids(ids, begin):
    check(ids, begin)


@pytest.mark.parametrize("form", ["{:d}", "{:09d}", "prefix-of-many-bytes-{:d}", "{0:d}-then-the-same-after-it"])
def test_many_ids_so_that_the_table_grows(form):
    check([form.format(n * 7919 % 30_011) for n in range(60_000)])


@pytest.mark.parametrize("n", [15, 16, 17, 31, 32, 33, 63, 65, 1000, 4097])
@pytest.mark.parametrize("step", [1, -1, 7919])
def test_sorted_reversed_and_mixed_ids_of_lengths_around_those_of_the_parts_that_are_merged(n, step):
    check([f"{number * step % 10_007:08}" for number in range(n)])


def hashes(ids, key):
    text = np.frombuffer(b"".join(ids), np.uint8)
    ends = np.cumsum([0] + [len(each) for each in ids])
    return np.array([_hash(text, begin, end, key) for begin, end in pairwise(ends)], np.uint64)


CHILD = "import sys; print(*(hash(bytes(range(n))) for n in range(1, 70)))"


@pytest.mark.skipif(sys.hash_info.algorithm != "siphash13" or sys.hash_info.cutoff, reason="Python hashes otherwise")
def test_the_hash_is_the_one_of_python():
    # With this seed the key of Python's hashes is 0.
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env={**os.environ, "PYTHONHASHSEED": "0"}, check=True, capture_output=True
    )
    found = hashes([bytes(range(n)) for n in range(1, 70)], np.zeros(2, np.uint64))
    assert found.view(np.int64).tolist() == [int(each) for each in done.stdout.split()]


@pytest.mark.parametrize("seed", range(3))
def test_hashes_of_ids_that_cancelled_in_a_multiplicative_hash_are_distinct(seed):
    """Bit 62 of one word, and bits 62 and 30 of the next, in 16 pairs of words: 65,536 ids of 256 letters, digits."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0x30, 0x3A, (16, 16), np.uint8)
    chosen = np.arange(1 << 16)[:, None] >> np.arange(16) & 1
    ids = np.repeat(pairs[None], 1 << 16, 0)
    ids[:, :, [0, 8, 12]] ^= (chosen * 0x40).astype(np.uint8)[:, :, None]
    found = hashes([each.tobytes() for each in ids], rng.integers(0, 1 << 63, 2).astype(np.uint64))
    assert len(set(found.tolist())) == 1 << 16
    # Of those that begin to look at one of 2**17 slots, half as many as slots, hardly ever more than ten meet.
    assert np.bincount((found & np.uint64((1 << 17) - 1)).astype(np.int64)).max() < 12
    assert np.bincount((found >> np.uint64(47)).astype(np.int64)).max() < 12
