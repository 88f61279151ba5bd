"""`make up` for real: in a path with blanks and quotes, in a hostile environment, and under kill -9."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest
from numba.core.caching import UserProvidedCacheLocator

from include.recommender.compiled import cache_folder
from include.recommender.registry.code import LIBRARY
from local import store
from local.environment import PROJECT
from local.home import Home

from .. import worlds
from ..ports import free_port
from .test_environment import HOSTILE

pytestmark = pytest.mark.slow

CONF = '{"factors": 8, "iterations": 2, "force_reason": "a test of make up", "min_users": 1}'
FOLDERS = ("include", "local", "dags", "plugins", "samples", "deploy")
UP_S, RUN_S, END_S = 600, 900, 120


@pytest.fixture
def project():
    """A copy of the project where paths hurt, with the environment of this one; what it started is ended.

    Not below pytest's folder: each start of pytest closes that to other users, so to PostgreSQL's where we are root.
    """
    folder = Path(tempfile.mkdtemp(prefix="recommender-up-"))
    copy = folder / 'my project\'s "copy" of $x ü #1'
    copy.mkdir()
    for name in FOLDERS:
        if (PROJECT / name).exists():
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "requirements.txt", "requirements-local.txt", "constraints.txt"):
        shutil.copy2(PROJECT / name, copy)
    give_compiled(copy)
    (copy / ".venv").symlink_to(PROJECT / ".venv")
    (copy / "reviews of mine.json").write_bytes(worlds.lines(worlds.reviews()))
    yield copy
    for left in Home(copy / ".local").leftovers():
        left.kill()
    shutil.rmtree(folder)


def give_compiled(copy):
    """The compiled loops of this project, under the names that numba gives them in the copy: it compiles no more."""
    kept = cache_folder()
    given = copy / LIBRARY.relative_to(PROJECT) / "__pycache__" / kept.name
    given.mkdir(mode=0o700, parents=True)
    for source in LIBRARY.glob("**/"):
        name, new_name = map(folder_of, (source, copy / source.relative_to(PROJECT)))
        if (kept / name).exists():
            shutil.copytree(kept / name, given / new_name)


def folder_of(source):
    """What numba calls the folder for the files of a folder."""
    return UserProvidedCacheLocator.get_suitable_cache_subpath(source / "any.py")


def make(project, *words, stderr=subprocess.STDOUT):
    """`make`, started as a person would who has a lot set."""
    hostile = {name: value for name, value in HOSTILE.items() if name != "MAKEFLAGS"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        ["make", "--old-file=.venv/.ready", *words],
        env=hostile | kept | {"RECOMMENDER_TRAINING_POOL": "mine", "PYTHONUNBUFFERED": "1"},
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def read_until(process, pattern, timeout_s):
    """What it prints up to a line that matches; fails where it ends before."""
    seen, deadline = "", time.monotonic() + timeout_s
    for line in process.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
        assert time.monotonic() < deadline, seen
    raise AssertionError(seen)


def part(project, name):
    """The child of the owner that is this part."""
    below = Home(project / ".local").holder_process().children()
    return next(process for process in below if name in " ".join(process.cmdline()))


def nothing_is_left(project, used):
    """Whether all processes have ended, soon, and the ports are free."""
    deadline = time.monotonic() + END_S
    while Home(project / ".local").leftovers():
        assert time.monotonic() < deadline, Home(project / ".local").leftovers()
        time.sleep(0.2)
    for port in used:
        store.check_port(port, "PORT")


def call(address, token, path):
    request = urllib.request.Request(f"{address}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=RUN_S) as answer:
        return json.load(answer)


def login(address, said):
    password = re.search(r"password (\S+)", said)[1]
    body = json.dumps({"username": "admin", "password": password}).encode()
    request = urllib.request.Request(f"{address}/auth/token", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=RUN_S) as answer:
        return json.load(answer)["access_token"]


def test_make_up_runs_what_is_asked_for_and_survives_kills_of_its_parts(project):
    used = ui, s3 = free_port(), free_port()
    words = [f"PORT={ui}", f"S3_PORT={s3}"]
    asked = ["up", "REVIEWS=reviews of mine.json", f"CONF={CONF}", *words]
    address = f"http://{store.HOST}:{ui}"

    up = make(project, *asked)
    said = read_until(up, "Triggered with your REVIEWS", UP_S)
    run = re.search(rf"{address}/dags/recommender_retrain/runs/(\S+)", said)[1]
    token, state, deadline = login(address, said), "", time.monotonic() + RUN_S
    while state not in {"success", "failed"}:
        assert time.monotonic() < deadline
        state = call(address, token, f"/api/v2/dags/recommender_retrain/dagRuns/{run}")["state"]
        time.sleep(0.5)
    assert state == "success"
    runs = call(address, token, "/api/v2/dags/recommender_retrain/dagRuns")["dag_runs"]
    assert [row["dag_run_id"] for row in runs] == [unquote(run)]
    assert {row["name"] for row in call(address, token, "/api/v2/pools")["pools"]} >= {"mine"}

    part(project, "scheduler").kill()
    said = up.communicate(timeout=END_S)[0]
    assert up.returncode
    assert "Error: scheduler was ended by SIGKILL" in said
    nothing_is_left(project, used)

    listed = make(project, "registry", "ARGS=--json list", f"S3_PORT={s3}", stderr=subprocess.PIPE)
    (version,) = json.loads(listed.communicate(timeout=END_S)[0])
    assert version["channels"] == ["production"]

    up = make(project, "up", *words)
    read_until(up, "ends everything", UP_S)
    part(project, "postgres").kill()
    assert "Error: postgres was ended by SIGKILL" in up.communicate(timeout=END_S)[0]
    nothing_is_left(project, used)

    up = make(project, "up", *words)
    read_until(up, "ends everything", UP_S)
    Home(project / ".local").holder_process().kill()
    up.communicate(timeout=END_S)
    down = make(project, "down")
    assert "Nothing was running" not in down.communicate(timeout=END_S)[0]
    nothing_is_left(project, used)
    assert make(project, "down").communicate(timeout=END_S)[0].rstrip().endswith("Nothing was running")


def test_make_run_ends_in_a_hostile_environment_and_path_as_in_a_clean_one(project):
    s3 = free_port()
    run = make(project, "run", "REVIEWS=reviews of mine.json", f"CONF={CONF}", f"S3_PORT={s3}")
    said = run.communicate(timeout=RUN_S)[0]
    assert run.returncode == 0, said
    assert "production points to it now" in said
    assert "RECOMMENDER_TRAINING_POOL changes nothing in a single run" in said
    nothing_is_left(project, [s3])


def test_sigterm_of_make_up_leaves_nothing(project):
    used = ui, s3 = free_port(), free_port()
    up = make(project, "up", f"PORT={ui}", f"S3_PORT={s3}")
    read_until(up, "ends everything", UP_S)
    whole = Home(project / ".local").leftovers()
    Home(project / ".local").holder_process().send_signal(signal.SIGTERM)
    assert "all data is kept" in up.communicate(timeout=END_S)[0]
    assert up.returncode == 0
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in whole)
    nothing_is_left(project, used)
