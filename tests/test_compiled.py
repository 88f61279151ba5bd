"""Compiled code is kept where it is safe, and never outlives what it was made from."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from include.recommender import compiled

LOOP = """
from rooms.compiled import compiled, cache_folder
from rooms.data.limits import LIMIT

@compiled()
def within(value):
    return value <= LIMIT

if __name__ == "__main__":
    print(within(5), sum(within.stats.cache_hits.values()), cache_folder())
"""
RUN = """
import logging, runpy
logging.basicConfig(level="INFO")
runpy.run_module("rooms.data.loop", run_name="__main__")
"""


@pytest.fixture
def rooms(tmp_path):
    """A package with one compiled function that takes a constant from another file."""
    data = tmp_path / "rooms" / "data"
    data.mkdir(parents=True)
    shutil.copy(Path(compiled.__file__), tmp_path / "rooms" / "compiled.py")
    (data / "limits.py").write_text("LIMIT = 5\n")
    (data / "loop.py").write_text(LOOP)
    return tmp_path


def called(rooms, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(rooms), "XDG_CACHE_HOME": str(rooms / "cache")} | variables
    command = [sys.executable, "-c", RUN]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def test_kept_code_is_read_again_and_is_not_where_a_constant_of_another_file_changed(rooms):
    first = called(rooms).stdout.split()
    again = called(rooms).stdout.split()
    (rooms / "rooms" / "data" / "limits.py").write_text("LIMIT = 4\n")
    other = called(rooms).stdout.split()
    assert [first[:2], again[:2], other[:2]] == [["True", "0"], ["True", "1"], ["False", "0"]]
    assert first[2] == again[2] != other[2]
    assert Path(first[2]).stat().st_mode & 0o777 == 0o700
    assert Path(first[2]).parent == rooms / "rooms" / "__pycache__"


def test_where_the_source_cannot_be_written_it_is_kept_in_the_users_cache_or_where_numba_is_told_to(rooms):
    (rooms / "rooms" / "__pycache__").write_text("")  # a file: nobody can make a folder of it, not even root
    assert Path(called(rooms).stdout.split()[2]).parent == rooms / "cache" / "recommender"
    assert Path(called(rooms, NUMBA_CACHE_DIR=str(rooms / "own")).stdout.split()[2]).parent == rooms / "own"


def test_where_nothing_can_be_written_it_is_compiled_anew_and_said(rooms):
    (rooms / "rooms" / "__pycache__").write_text("")
    (rooms / "cache").write_text("")
    done = called(rooms)
    assert done.stdout.split() == ["True", "0", "None"]
    assert "not kept, since no cache folder can be written" in done.stderr


def test_code_of_other_versions_is_deleted_after_a_while(rooms):
    folder = Path(called(rooms).stdout.split()[2])
    old, new = folder.with_name("numba-old"), folder.with_name("numba-new")
    for other in (old, new):
        other.mkdir()
    long_ago = time.time() - (compiled.KEPT_DAYS + 1) * 86_400
    os.utime(old, (long_ago, long_ago))
    called(rooms)
    assert [path.exists() for path in (folder, old, new)] == [True, False, True]
