"""Digests are computed once a process for each state of a file, and what changed is hashed again."""

import os
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import pytest

from include.recommender.errors import DataError
from include.recommender.stages.workspace import Stage, run_once
from include.recommender.storage import digests
from include.recommender.storage.digests import TICK_NS, Identity, file_sha256, remember

from ..conftest import ROOT


@pytest.fixture
def read(monkeypatch):
    """Sizes of the files that are read to be hashed, in this process as if it had just begun."""
    sizes, real = [], digests.hashlib.file_digest
    monkeypatch.setattr(
        digests.hashlib,
        "file_digest",
        lambda file, name: sizes.append(os.fstat(file.fileno()).st_size) or real(file, name),
    )
    digests.forget()
    return sizes


def settle():
    time.sleep(2 * TICK_NS / 1e9)


@pytest.fixture
def made(workspace, read):
    """An artifact of 6 and 4 bytes."""

    def make(directory):
        (directory / "alpha").write_bytes(b"aaaaaa")
        (directory / "beta").write_bytes(b"bbbb")
        return {}

    found = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    assert sorted(read) == [4, 6]
    read.clear()
    return found


def test_what_this_process_made_is_not_hashed_again(workspace, made, read):
    for _ in range(3):
        workspace.artifacts.path(made)
    assert read == []


def test_what_it_fetches_is_hashed_while_it_comes_and_not_again(workspace, made, read, tmp_path):
    elsewhere = type(workspace)(workspace.root, workspace.snapshots, tmp_path / "elsewhere")
    for _ in range(3):
        elsewhere.artifacts.path(made)
    assert read == []


def test_a_process_that_finds_it_hashes_it_once(workspace, made, read):
    settle()
    digests.forget()
    for _ in range(3):
        workspace.artifacts.path(made)
    assert sorted(read) == [4, 6]


def flip(path):
    with path.open("r+b") as file:
        file.write(b"X")


def flip_behind_the_clock(path):
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    other = path.with_name("other")
    other.write_bytes(b"X" + path.read_bytes()[1:])
    os.replace(other, path)


@pytest.mark.parametrize("change", [flip, flip_behind_the_clock, replace])
def test_what_changes_is_hashed_again_and_fetched(workspace, made, read, change):
    """Of the same size and, in the second case, with the modification time of before."""
    change(workspace.artifacts.path(made) / "alpha")
    assert (workspace.artifacts.path(made) / "alpha").read_bytes() == b"aaaaaa"
    assert 6 in read


def test_the_next_process_refuses_a_damaged_object_behind_a_damaged_copy(workspace, made, read, s3):
    """It knows nothing of what another process verified, here of a change that leaves no trace in the identity."""
    path = workspace.artifacts.path(made) / "alpha"
    flip(path)
    remember({path: made.files["alpha"].sha256})
    workspace.root.write(made.key("alpha"), b"Xaaaaa")
    workspace.artifacts.path(made)
    digests.forget()
    with pytest.raises(DataError, match=f"{made.key('alpha')}: SHA-256 is"):
        workspace.artifacts.path(made)


def test_a_file_that_may_still_change_within_the_tick_is_not_known(tmp_path, read):
    path = tmp_path / "new"
    path.write_bytes(b"12345")
    about = Identity.of(path.stat())
    assert not about.settled(about.changed_ns + TICK_NS)
    assert about.settled(about.changed_ns + TICK_NS + 1)
    settle()
    assert {file_sha256(path), file_sha256(path)} == {sha256(b"12345").hexdigest()}
    assert read == [5]
    whole = about._replace(modified_ns=10**9, changed_ns=10**9)
    assert not whole.settled(about.changed_ns)  # a file system that keeps seconds


def test_what_was_made_is_renamed_into_the_cache_not_copied(workspace):
    inodes = []

    def make(directory):
        (directory / "a").write_text("alpha")
        inodes.append((directory / "a").stat().st_ino)
        return {}

    found = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    assert (workspace.artifacts.path(found) / "a").stat().st_ino == inodes[0]
    assert not [path for path in workspace.cache.iterdir() if path.name.startswith(".recommender-scratch")]


def test_what_was_made_on_another_file_system_is_copied(workspace):
    shm = Path("/dev/shm")
    workspace.cache.mkdir(parents=True, exist_ok=True)
    if not shm.is_dir() or shm.stat().st_dev == workspace.cache.stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir=shm) as directory:
        Path(directory, "a").write_text("alpha")
        found = workspace.artifacts.commit("made", "0" * 32, Path(directory), counts={}, timings={}, lineage={})
        assert Path(directory, "a").exists()
    path = workspace.cache / "made" / found.digest[:32] / "a"
    assert path.read_text() == "alpha"
    assert workspace.artifacts.path(found) == path.parent


def test_two_processes_hash_for_themselves(tmp_path):
    """What one knows, another does not take over."""
    path = tmp_path / "a"
    path.write_bytes(b"alpha")
    remember({path: "0" * 64})
    assert file_sha256(path) == "0" * 64
    code = (
        "import sys\nfrom pathlib import Path\nfrom include.recommender.storage.digests import file_sha256\n"
        "print(file_sha256(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stdout.strip() == sha256(b"alpha").hexdigest()
