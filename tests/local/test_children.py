"""The parts: nothing of one is left once it or its owner has ended, however each of them ends; bounded logs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from local import children, logs
from local.environment import PROJECT

# A command as Airflow's are: it overwrites its marks, and leaves a process in a session of its own behind.
LEAVES = """
import os, sys, time
import setproctitle
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    setproctitle.setproctitle("renamed " * 2000)
    os.write(1, b"orphan %d\\n" % os.getpid())
    time.sleep(600)
os.wait()
setproctitle.setproctitle("renamed " * 2000)
os.write(1, b"top %d\\n" % os.getpid())
time.sleep(600)
"""
OWNER = """
import sys
from pathlib import Path
from local import children
from local.home import Home
home = Home(Path(sys.argv[1]))
with home.own("make up"):
    command = [sys.executable, "-c", sys.argv[2]]
    child = children.start(home, children.Part(name="part", command=command, environment={}, grace_s=1))
    print(child.process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(home):
    """A process that owns the home, with a part whose processes are renamed and have left their parents."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(home.path), LEAVES],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip().isdigit()
    yield process
    process.kill()
    process.communicate()
    for left in home.leftovers():
        left.kill()


def started(home):
    """Name -> process of what the part has said it is."""
    log, deadline = home.logs / "part.log", time.monotonic() + 30
    while not log.exists() or log.read_text().count("\n") < 2:
        assert time.monotonic() < deadline
    return {name: psutil.Process(int(pid)) for name, pid in (line.split() for line in log.read_text().splitlines())}


def started_part(home, code, grace_s=1.0):
    command = [sys.executable, "-c", code]
    return children.start(home, children.Part(name="part", command=command, environment={}, grace_s=grace_s))


def lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_end(processes, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while any(lives(process) for process in processes):
        if time.monotonic() > deadline:
            return False
    return True


def test_renamed_orphans_are_found_by_what_they_cannot_overwrite(home, owner):
    found = started(home)
    assert all("RECOMMENDER_LOCAL_OWNER" not in process.environ() for process in found.values())
    assert {process.pid for process in found.values()} <= {process.pid for process in home.leftovers()}


def cleaner(owner):
    """What ends everything when its owner is killed."""
    below = psutil.Process(owner.pid).children()
    return next(process for process in below if "local.cleaner" in process.cmdline())


def test_a_killed_owner_leaves_nothing_and_the_next_waits_for_that(home, owner):
    found = [*started(home).values(), cleaner(owner)]
    owner.kill()
    owner.wait()
    with home.own("the next") as left:
        assert left == []
        assert not any(lives(process) for process in found[:-1])
    assert all_end(found)


def test_what_a_killed_part_leaves_ends_with_its_owner(home, owner):
    found = started(home)
    found["top"].kill()
    owner.communicate()
    assert all_end(found.values())
    assert home.leftovers() == []


def test_a_killed_cleaner_stops_nothing_and_everything_still_ends_with_the_owner(home, owner):
    found = started(home)
    cleaner(owner).kill()
    owner.communicate()
    assert owner.returncode == 0
    assert all_end(found.values())


def test_what_is_left_when_owner_and_cleaner_are_killed_ends_with_the_next_owner(home, owner, capsys):
    found = started(home)
    cleaner(owner).kill()
    owner.kill()
    owner.wait()
    with home.own("make down") as left:
        assert left
    assert "that a killed owner left behind" in capsys.readouterr().out
    assert all_end(found.values())


def test_a_stranger_with_the_same_number_or_name_is_left_alone(home):
    home.work.mkdir(parents=True)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "--name", "scheduler"])
    try:
        (home.path / "lock").write_text(f"make up, process {stranger.pid}, since 00:00:00")
        assert home.holder_process() is None
        with home.own("make down") as left:
            assert left == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_command_that_ignores_the_request_is_killed_after_its_grace(home):
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = started_part(home, code, grace_s=0.2)
    while not child.log.exists() or "up" not in child.log.read_text():
        child.check()
    children.stop(child)
    assert child.status == -signal.SIGKILL


def test_the_log_is_bounded_and_keeps_the_end(home, monkeypatch):
    monkeypatch.setattr(children, "LOG_BYTES", 100_000)
    code = "for number in range(100_000): print(number)"
    child = started_part(home, code)
    assert child.process.wait(60) == 0
    child.logger.join(60)
    parts = sorted(home.logs.glob("part.log*"))
    assert [path.name for path in parts] == ["part.log", *(f"part.log.{n}" for n in range(1, children.LOG_FILES + 1))]
    assert max(path.stat().st_size for path in parts) <= 100_000
    whole = b"".join(path.read_bytes() for path in reversed(parts))
    assert whole.endswith(b"\n99998\n99999\n")
    assert {path.stat().st_mode & 0o777 for path in parts} == {0o600}


def test_old_logs_of_runs_go_and_new_ones_stay(home):
    made = [home.logs / f"run-{number:03}.log" for number in range(logs.OUTPUTS_KEPT + 5)]
    made += [home.logs / "tasks" / "dag_id=a" / f"run_id={number:03}" / "t" for number in range(logs.RUNS_KEPT + 5)]
    for number, path in enumerate(made):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        for each in (path, path.parent):
            os.utime(each, (number, number))
    outside = home.path / "outside"
    outside.mkdir()
    Path(home.logs / "tasks" / "dag_id=a" / "run_id=link").symlink_to(outside)
    logs.prune(home)
    kept = {path.name for path in home.logs.glob("run-*.log")}
    assert kept == {f"run-{number:03}.log" for number in range(5, logs.OUTPUTS_KEPT + 5)}
    runs = [path for path in (home.logs / "tasks" / "dag_id=a").iterdir() if not path.is_symlink()]
    assert len(runs) == logs.RUNS_KEPT
    assert outside.exists()
