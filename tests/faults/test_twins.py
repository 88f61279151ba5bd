"""The same work twice at once, in two real processes on two workers: one result, no error, nothing damaged."""

import threading

import pytest

from include.recommender.errors import DataError
from include.recommender.stages.workspace import Stage, run_once

from .proxy import Fault
from .stages import STAGES
from .story import essence

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

POINTER = r"channels/production\.json"


def outcome_of(handle):
    """Without what says who was first."""
    return {name: value for name, value in handle.items() if name not in {"fresh", "why"}}


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "check_snapshot"])
@pytest.mark.parametrize("held", ["first", "last"])
def test_a_run_that_is_delivered_twice(story, tmp_path, stage, held):
    """The slow one is held at its first or last write until the quick one has ended."""
    reached, go = threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert go.wait(60)

    last = {"upload_model": r"models/.*/manifest\.json", "promote_model": POINTER, "write_report": "report.html"}
    path = "" if held == "first" else last.get(stage, r"artifacts/.*/manifest\.json")
    with story.worker(stage) as cache:
        story.script.faults = [Fault("PUT", path, "call", action=hold)]
        slow = story.start(stage, cache)
        assert reached.wait(60)
        quick = story.start(stage, tmp_path / "other").result()
        go.set()
        done = slow.result()
        expected = story.chapters[stage]
        handles = [done["handle"], quick["handle"], expected.handle]
        assert handles[1] == handles[2]
        assert handles[0] == handles[2] or outcome_of(handles[0]) == outcome_of(handles[2])
        assert story.problems() == []
        assert essence(story.bucket()) == essence(expected.after)


def test_a_slow_writer_of_other_bytes_does_not_damage_what_is_finished(faulty, tmp_path):
    """Two machines whose processors round differently: the second writer's files must not lie under the manifest."""
    workspace, script = faulty

    def make(text):
        def write(directory):
            (directory / "factors.npy").write_text(text)
            return {}

        return write

    def finish():
        run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make("theirs"))

    script.faults = [Fault("PUT", "factors.npy", "call", action=finish)]
    ours = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make("ours")).artifact
    elsewhere = type(workspace)(workspace.root, workspace.snapshots, tmp_path / "elsewhere")
    assert (elsewhere.artifacts.path(ours) / "factors.npy").read_text() == "theirs"
    assert elsewhere.artifacts.open(ours.uri) == ours


def test_two_readers_of_a_damaged_cached_copy_both_get_the_right_one(faulty, tmp_path):
    """One has just put it right when the other, who saw it damaged, comes to do so."""
    workspace, script = faulty

    def make(directory):
        (directory / "a").write_text("alpha")
        return {}

    made = run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=make).artifact
    (workspace.artifacts.path(made) / "a").write_text("alphA")
    found = []
    script.faults = [Fault("HEAD", "", "call", action=lambda: found.append(workspace.artifacts.path(made)))]
    found.append(workspace.artifacts.path(made))
    assert [(path / "a").read_text() for path in found] == ["alpha"] * 2


def test_a_flipped_byte_in_any_file_of_any_artifact_and_version_is_refused_by_name(story, tmp_path):
    """Every file that the whole run has written under a manifest."""
    last = story.chapters["write_report"].after
    story.restore(last)
    manifests = [key for key in last if key.endswith("/manifest.json")]
    named = [key for key in last if key.startswith(("artifacts/", "models/")) and "/profiles/" not in key]
    files = [key for key in named if key not in manifests]
    assert len({key.split("/")[1] for key in files if key.startswith("artifacts/")}) == 11
    assert len([key for key in files if key.startswith("models/")]) == 2 * 21
    for number, key in enumerate(files):
        data = last[key]
        middle = len(data) // 2
        story.direct.root.write(key, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        with pytest.raises(DataError, match=rf"{key}: SHA-256 is"):
            _read(story, key, tmp_path / str(number))
        story.direct.root.write(key, data)


def _read(story, key, cache):
    if key.startswith("models/"):
        story.direct.registry.fetch(key.split("/")[1], cache)
    else:
        artifacts = type(story.direct)(story.direct.root, story.direct.snapshots, cache).artifacts
        stage, mark = key.split("/")[1:3]
        artifacts.path(artifacts.find(stage, mark))
