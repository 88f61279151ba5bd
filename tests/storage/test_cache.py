"""The cache: a folder of our own, which forgets what nobody uses, and never touches what is not ours."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from include.orchestration.settings import Settings
from include.recommender.errors import ConfigError
from include.recommender.stages.workspace import Stage, run_once
from include.recommender.storage import cache as cache_module
from include.recommender.storage.cache import ENTRY, FOLDER, TAG, claim, entry_path, make_entry, prune, used
from include.recommender.storage.scratch import OURS, scratch_directory, scratch_file

from ..conftest import ROOT

OLD_S = 100


@pytest.fixture
def shared(tmp_path):
    """A folder that other people keep old things in, at the depth of ours and beside it."""
    shared = tmp_path / "shared"
    for name in ("alice/thesis", "photos/2019", f"{FOLDER}-of-bob/x", ".work-of-carol", ".part.json.abcdefgh"):
        (shared / name).mkdir(parents=True)
        (shared / name / "data.bin").write_bytes(b"precious")
    return shared


@pytest.fixture
def ours(shared):
    """Our cache in it."""
    claim(shared / FOLDER)
    return shared / FOLDER


def age(*paths):
    """As if nobody had used them for long."""
    old = time.time() - OLD_S
    for path in paths:
        os.utime(path, (old, old), follow_symlinks=False)


def everything(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*"))}


def elsewhere(code, *args):
    """Another process, which says "ready" and ends when its input ends."""
    command = [
        sys.executable,
        "-c",
        f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()",
        *map(str, args),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_was_used_lately_stays(workspace):
    def make(directory):
        (directory / "a").write_text("alpha")
        return {}

    claim(workspace.cache)
    kept, gone = (
        run_once(workspace, Stage("stage", "1"), config={"x": x}, inputs={}, make=make).artifact for x in (1, 2)
    )
    assert len({kept.digest, gone.digest}) == 1  # the same bytes: one entry
    other = workspace.cache / "reviews" / "etag"
    make_entry(other)
    age(*workspace.cache.glob("*/*"))
    workspace.artifacts.path(kept)
    assert prune(workspace.cache, keep_s=50) == ["reviews/etag"]
    assert (workspace.artifacts.path(gone) / "a").read_text() == "alpha"


def test_a_cache_that_is_not_there_yet_has_nothing_to_forget(tmp_path):
    assert prune(tmp_path / "none") == []


def test_what_others_keep_in_a_shared_folder_is_never_touched(shared, ours):
    before = {name: body for name, body in everything(shared).items() if not name.startswith(f"{FOLDER}/")}
    make_entry(ours / "reviews" / "old")
    age(*shared.rglob("*"))
    for folder in (ours, shared, shared / "alice", shared / "photos"):
        prune(folder, keep_s=1)
    with scratch_directory(shared), scratch_file(shared / "part.json"):
        pass
    assert not (ours / "reviews" / "old").exists()
    after = {name: body for name, body in everything(shared).items() if not name.startswith(f"{FOLDER}/")}
    assert after == before


def test_within_our_folder_only_what_carries_our_mark_goes(ours, tmp_path):
    outside = tmp_path / "outside"
    make_entry(outside / "theirs")
    make_entry(ours / "models" / "old")
    (ours / "models" / "unmarked").mkdir()
    (ours / "models" / "other").mkdir()
    (ours / "models" / "other" / ENTRY).write_text("somebody else's")
    (ours / "models" / "linked").symlink_to(outside / "theirs")
    (ours / "linked").symlink_to(outside)
    (ours / "models" / "lured").mkdir()
    (ours / "models" / "lured" / ENTRY).symlink_to(outside / "theirs" / ENTRY)
    (ours / "models" / "file").write_text("a file")
    age(*ours.rglob("*"), *outside.rglob("*"))
    assert prune(ours, keep_s=1) == ["models/old"]
    assert sorted(path.name for path in (ours / "models").iterdir()) == [
        *("file", "linked", "lured", "other", "unmarked")
    ]
    assert (outside / "theirs" / ENTRY).exists()


def test_links_within_an_entry_are_removed_and_not_followed(ours, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("precious")
    make_entry(ours / "models" / "old")
    (ours / "models" / "old" / "link").symlink_to(tmp_path / "kept")
    age(ours / "models" / "old")
    assert prune(ours, keep_s=1) == ["models/old"]
    assert (tmp_path / "kept" / "file").read_text() == "precious"


def test_an_entry_in_use_by_another_process_stays_until_that_ends(ours):
    make_entry(ours / "models" / "read")
    make_entry(ours / "models" / "free")
    code = (
        "from pathlib import Path\nfrom include.recommender.storage.cache import entry_path\n"
        "entry_path(Path(sys.argv[1]), 'models', 'read')"
    )
    reader = elsewhere(code, ours)
    age(*ours.glob("models/*"))
    assert prune(ours, keep_s=1) == ["models/free"]
    reader.kill()
    reader.wait()
    assert prune(ours, keep_s=1) == ["models/read"]


def test_an_entry_in_use_by_this_process_stays(ours):
    make_entry(entry_path(ours, "models", "mine"))
    age(ours / "models" / "mine")
    assert prune(ours, keep_s=1) == []


def test_an_entry_that_was_used_while_the_others_were_looked_at_stays(ours, monkeypatch):
    make_entry(ours / "models" / "a")
    age(ours / "models" / "a")
    real = cache_module._exclusive
    monkeypatch.setattr(cache_module, "_exclusive", lambda cache, entry: used(entry) or real(cache, entry))
    assert prune(ours, keep_s=50) == []


@pytest.mark.parametrize("kind", ["models", "link"])
def test_a_link_in_the_place_of_an_entry_is_refused(ours, tmp_path, kind):
    (tmp_path / "target").mkdir()
    (ours / "models").mkdir()
    (ours / "models" / "x").symlink_to(tmp_path / "target")
    (ours / "link").symlink_to(tmp_path / "target")
    with pytest.raises(ConfigError, match="symbolic link"):
        entry_path(ours, kind, "x")


@pytest.mark.parametrize("names", [("..", "x"), ("models", "../x"), ("models", ""), ("models", "/etc"), ("a/b", "x")])
def test_an_entry_has_plain_names(ours, names):
    with pytest.raises(ValueError, match="plain"):
        entry_path(ours, *names)


def test_the_cache_is_private_and_claimed_once(shared, ours):
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700
    make_entry(ours / "models" / "x")
    ours.chmod(0o777)
    claim(ours)
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700
    assert (ours / "models" / "x" / ENTRY).exists()
    assert [path.name for path in shared.iterdir() if path.name.startswith(OURS)] == []


def test_an_empty_folder_is_taken_and_one_with_anything_else_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    claim(tmp_path / "empty")
    assert (tmp_path / "empty" / TAG).read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    for name in ("full", "forged"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "letter.txt").write_text("precious")
    (tmp_path / "forged" / TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# another program's\n")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    for name in ("full", "forged", "link", "file"):
        with pytest.raises(ConfigError, match=rf"{name}: .*RECOMMENDER_CACHE"):
            claim(tmp_path / name)
    assert (tmp_path / "full" / "letter.txt").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_cache_of_another_user_is_refused(ours):
    os.chown(ours, 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        claim(ours)


def test_two_processes_that_claim_at_once_share_one(tmp_path):
    code = "from pathlib import Path\nfrom include.recommender.storage.cache import claim\nclaim(Path(sys.argv[1]))"
    processes = [elsewhere(code, tmp_path / "new" / FOLDER) for _ in range(3)]
    for process in processes:
        process.communicate("")
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FOLDER]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RECOMMENDER_CACHE": "/mnt/disk"}, f"/mnt/disk/{FOLDER}"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/home/a"}, f"/x/recommender/{FOLDER}"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/a"}, f"/home/a/.cache/recommender/{FOLDER}"),
        ({"HOME": "/home/a"}, f"/home/a/.cache/recommender/{FOLDER}"),
    ],
)
def test_the_default_is_below_the_home_of_the_user(environment, expected):
    assert Settings.from_environment({"RECOMMENDER_ROOT": "s3://bucket", **environment}).cache == Path(expected)


def test_without_a_home_the_setting_is_asked_for():
    with pytest.raises(ConfigError, match="Set RECOMMENDER_CACHE"):
        Settings.from_environment({"RECOMMENDER_ROOT": "s3://bucket"})


def test_what_a_killed_process_left_goes_and_what_others_named_alike_stays(tmp_path):
    abandoned = tmp_path / f"{OURS}work-abandoned"
    abandoned.mkdir()
    (tmp_path / ".work-of-somebody").mkdir()
    (tmp_path / f"{OURS}work-link").symlink_to(tmp_path / ".work-of-somebody")
    os.mkfifo(tmp_path / f"{OURS}work-pipe")
    with scratch_directory(tmp_path) as mine:
        assert not abandoned.exists()
        with scratch_directory(tmp_path):
            assert mine.exists()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [f"{OURS}work-link", f"{OURS}work-pipe", ".work-of-somebody"]


def test_a_file_with_the_longest_name_has_a_place_beside_it(tmp_path):
    with scratch_file(tmp_path / ("n" * 255)) as part:
        os.replace(part, tmp_path / ("n" * 255))
    assert (tmp_path / ("n" * 255)).exists()
