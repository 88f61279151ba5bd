"""Ctrl-C in `make run`: no task begins after it, and what is printed of model and channel is what the store holds."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest

from include.recommender.storage.objects import ObjectStore
from local import children, run, store
from local.environment import PROJECT
from local.home import Home
from local.processes import RUN_MODULE
from local.published import Published, left_behind

from .. import worlds

pytestmark = pytest.mark.slow

CONF = '{"force_reason": "a test of interruptions", "iterations": 2, "factors": 8, "force": true}'


@pytest.fixture
def home(migrated_home):
    """The home, and a file of reviews beside it."""
    (migrated_home.path.parent / "reviews.json").write_bytes(worlds.lines(worlds.reviews()))
    return migrated_home


@contextmanager
def started(home, port):
    """`make run`, started, with what it prints."""
    reviews = home.path.parent / "reviews.json"
    words = ["--reviews", reviews, "--conf", CONF, "--s3-port", str(port), "--local", home.path]
    process = subprocess.Popen(
        [sys.executable, "-m", "local.run", *words],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=PROJECT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process, when):
    """What it prints until a line ends as given."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if when in " ".join(line.split()):
            break
    return "".join(seen)


def interrupted(home, port, when):
    """What `make run` prints where Ctrl-C comes as soon as a line ends as given: the lines before and after it."""
    with started(home, port) as process:
        seen = read_until(process, when)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait() == 130, seen + rest
        return seen, rest.partition("Stopping ...")[2]


def root_of(output):
    """The run's root, from the lines that say where its reviews are."""
    return output.partition("snapshots/")[0].rpartition(" ")[2]


@pytest.mark.parametrize("task", ["refit", "promote_model"])
def test_no_task_begins_after_ctrl_c_and_the_channel_is_where_the_message_says(home, port, task):
    before, after = interrupted(home, port, f"{task} begins")
    assert "begins" not in after
    with home.own("a test"), store.serve(home, port) as server:
        now = Published.read(ObjectStore.at(server.client(), root_of(before)), "production")
    assert (f"production points to {now.move.to_model}" if now.move else "production points nowhere yet") in after
    assert all(name in after for name in now.versions)
    if task == "refit":
        assert (now.move, now.versions) == (None, frozenset())
        assert "no new one was published" in after
    assert not home.leftovers()


def test_a_run_whose_make_run_is_killed_ends_with_it(home, port):
    with started(home, port) as process:
        before = read_until(process, "refit begins")
        runs = [left for left in home.leftovers() if RUN_MODULE in left.cmdline()]
        process.kill()
        gone, alive = psutil.wait_procs(runs, timeout=60)
        assert (len(gone), alive) == (1, [])
        assert "begins" not in process.stdout.read()
    with home.own("a test"), store.serve(home, port) as server:
        now = Published.read(ObjectStore.at(server.client(), root_of(before)), "production")
    assert now.versions == frozenset()


def test_what_was_there_before_is_not_attributed_to_the_run():
    before = Published("production", None, frozenset({"old"}))
    assert "no new one was published" in left_behind(before, before)
    output = left_behind(before, Published("production", None, frozenset({"old", "new"})))
    assert "new was published" in output
    assert "old" not in output


def test_ctrl_c_after_the_run_has_ended_says_nothing_of_what_it_did(tmp_path, port, monkeypatch, capsys):
    end = children.stop

    def interrupted_end(*processes, **more):
        monkeypatch.setattr(children, "stop", end)
        os.kill(os.getpid(), signal.SIGINT)
        end(*processes, **more)

    # A run that published, said so, and ended; then Ctrl-C while the server, a real one, is being stopped.
    monkeypatch.setattr(run, "_run_dag", lambda *_: 0)
    monkeypatch.setattr(children, "stop", interrupted_end)
    (tmp_path / "reviews.json").write_bytes(worlds.lines(worlds.reviews(n_users=2)))
    local = tmp_path / ".local"
    handlers = {number: signal.getsignal(number) for number in run.STOPPING}
    try:
        words = ["--reviews", str(tmp_path / "reviews.json"), "--s3-port", str(port), "--local", str(local)]
        assert run.main(words) == 130
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    output = capsys.readouterr().out.partition("Stopping ...")[2]
    assert "nothing was published" not in output
    assert "what it printed about model and channel is right" in output
    assert not Home(local).leftovers()
    assert not store.serves(f"http://{store.HOST}:{port}")
