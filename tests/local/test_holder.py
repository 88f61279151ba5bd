"""The process that a lock names is that one, and never another that got its number."""

import fcntl
import subprocess
import sys

import psutil
import pytest

from local.home import Home


@pytest.fixture
def stranger():
    """A process that has nothing to do with the directory."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


@pytest.fixture
def lock(tmp_path):
    """Hold the lock of a directory, with a text."""
    opened = []

    def hold(text):
        (tmp_path / "lock").write_text(text)
        opened.append((tmp_path / "lock").open("rb"))
        fcntl.flock(opened[-1], fcntl.LOCK_EX)
        return Home(tmp_path)

    yield hold
    for file in opened:
        file.close()


def test_a_process_that_began_at_the_time_in_the_lock_is_the_owner(lock, stranger):
    home = lock(f"make up, process {stranger.pid}, since 10:00:00\n{stranger.create_time()}")
    assert home.holder_process().pid == stranger.pid
    assert home.holder() == f"make up, process {stranger.pid}, since 10:00:00"


@pytest.mark.parametrize("later_s", [-3600.0, 5.0])
def test_a_process_that_got_the_number_of_an_owner_is_not_taken_for_it(lock, stranger, later_s):
    home = lock(f"make up, process {stranger.pid}, since 10:00:00\n{stranger.create_time() + later_s}")
    assert home.holder_process() is None
    home.check_free()


@pytest.mark.parametrize("text", ["another process", "make up, process x, since 1\n1.0", "make up, process {pid}", ""])
def test_a_text_that_names_no_process_and_time_names_nobody(lock, stranger, text):
    assert lock(text.format(pid=stranger.pid)).holder_process() is None


def test_an_owner_is_found_by_what_it_wrote(tmp_path):
    home = Home(tmp_path / ".local")
    with home.own("a test"):
        assert home.holder_process().pid == psutil.Process().pid
