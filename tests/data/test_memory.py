"""Memory of a parse: bounded, also where the text of all ids is beyond what 32-bit offsets reach."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.recommender.data.reviews import load_vocabulary, save_vocabulary
from include.recommender.errors import ConfigError
from include.recommender.ids import Vocabulary
from include.recommender.models import memory

from ..conftest import ROOT

N_IDS, ID_BYTES = 9_000_000, 250
CHILD = f"""
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.compute as pc
from include.recommender.data.codes import Coder
from include.recommender.data.columns import ROWS
n, step, pad = {N_IDS}, 50_000, pa.scalar("x" * {ID_BYTES - 10}, pa.large_string())
made = Path(sys.argv[1])
with Coder(made) as coder:
    for start in range(0, n, step):
        number = pa.array((np.arange(start, start + step) * 7919) % n + 10**9).cast(pa.large_string())
        user = pc.binary_join_element_wise(number, pad, pa.scalar("", pa.large_string()))
        item = pa.array(np.arange(step) % 100 + 100).cast(pa.large_string())
        rest = [pa.array(np.ones(step, np.int64)).cast(field.type) for field in list(ROWS)[2:]]
        coder.write(pa.record_batch([user, item, *rest], schema=ROWS))
    coded = coder.finish(*(made / name for name in ("users", "items", "reviews")))
print(coded.users, coded.items, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_more_id_text_than_32_bit_offsets_reach_is_coded_in_little_memory(tmp_path):
    assert N_IDS * ID_BYTES > 2**31
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    users, items, peak = map(int, done.stdout.split())
    assert (users, items) == (N_IDS, 100)
    assert peak < N_IDS * ID_BYTES * 2 / 3  # seen: 773 MiB alone, 1,047 MiB once beside other work
    ids = pq.ParquetFile(tmp_path / "users")
    groups = [ids.read_row_group(number)["id"] for number in (0, ids.num_row_groups - 1)]
    for column, first in zip(groups, (0, N_IDS - len(groups[1])), strict=True):
        numbers = range(10**9 + first, 10**9 + first + len(column))
        assert [text[:10] for text in column.to_pylist()] == [str(number) for number in numbers]
    codes = pq.ParquetFile(tmp_path / "reviews").read_row_group(0, columns=["user"])["user"].to_pylist()
    assert codes[:50_000] == [number * 7919 % N_IDS for number in range(50_000)]


def test_ids_are_large_strings_however_they_are_given(tmp_path):
    for ids in (pa.array(["a", "b"]), pa.array(["a", "b"], pa.large_string())):
        save_vocabulary(tmp_path / "ids", Vocabulary(ids))
        assert load_vocabulary(tmp_path / "ids").ids.type == pa.large_string()
        assert load_vocabulary(tmp_path / "ids").ids.to_pylist() == ["a", "b"]


def test_ids_that_do_not_fit_are_refused_before_they_are_read(tmp_path, monkeypatch):
    save_vocabulary(tmp_path / "users.parquet", Vocabulary(pa.array([f"{n:0100}" for n in range(1000)])))
    monkeypatch.setattr(memory, "free_bytes", lambda: 200_000)
    with pytest.raises(ConfigError, match=r"^users\.parquet: 1,000 ids of 10\d bytes need about .* GB are free"):
        load_vocabulary(tmp_path / "users.parquet")
