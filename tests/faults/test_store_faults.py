"""A store that answers errors, breaks off or lies: retried, then a clear failure; nothing is left half done."""

import hashlib

import pytest

from include.recommender.errors import ConfigError, DataError, PreconditionFailed, TransientError
from include.recommender.registry.channels import Channels
from include.recommender.storage import objects

from ..registry.makers import M3, moving
from .proxy import Fault

BODY = bytes(range(256)) * 400
PASSING = ["500", "503", "reset"]


@pytest.mark.parametrize("kind", [*PASSING, "short"])
def test_a_passing_fault_of_a_read_is_retried(faulty, kind):
    workspace, script = faulty
    workspace.root.write("a", BODY)
    script.faults = [Fault("GET", "/shop/a", kind)]
    assert workspace.root.read("a") == BODY
    assert script.count("GET", "/shop/a") == 2


@pytest.mark.parametrize("kind", [*PASSING, "short"])
def test_a_lasting_fault_of_a_read_is_transient_and_names_the_object(faulty, kind):
    workspace, script = faulty
    workspace.root.write("a", BODY)
    script.faults = [Fault("GET", "/shop/a", kind, times=99)]
    with pytest.raises(TransientError, match="s3://reviews/shop/a"):
        workspace.root.read("a")


def test_no_permission_is_not_retried_and_says_what_to_allow(faulty):
    workspace, script = faulty
    script.faults = [Fault("GET", "/shop/a", "403", times=99)]
    with pytest.raises(ConfigError, match="s3://reviews/shop/a: access denied"):
        workspace.root.read("a")
    assert script.count("GET", "/shop/a") == 1


@pytest.mark.parametrize("kind", [*PASSING, "short"])
def test_a_download_survives_a_passing_fault_in_any_range(faulty, tmp_path, monkeypatch, kind):
    workspace, script = faulty
    monkeypatch.setattr(objects, "PART_BYTES", 10_000)
    workspace.root.write("a", BODY)
    script.faults = [Fault("GET", "/shop/a", kind, skip=3)]
    found = workspace.root.download(workspace.root.head("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY
    assert found == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize(("kind", "error"), [("500", TransientError), ("short", TransientError), ("flip", DataError)])
def test_a_download_that_fails_leaves_nothing(faulty, tmp_path, monkeypatch, kind, error):
    workspace, script = faulty
    monkeypatch.setattr(objects, "PART_BYTES", 10_000)
    workspace.root.write("a", BODY)
    info = workspace.root.head("a")
    script.faults = [Fault("GET", "/shop/a", kind, times=99, skip=2)]
    with pytest.raises(error, match="s3://reviews/shop/a"):
        workspace.root.download(info, tmp_path / "out" / "a", sha256=hashlib.sha256(BODY).hexdigest())
    assert list((tmp_path / "out").iterdir()) == []


def test_an_object_that_is_replaced_while_it_is_read_is_refused(faulty, s3, tmp_path, monkeypatch):
    workspace, script = faulty
    monkeypatch.setattr(objects, "PART_BYTES", 10_000)
    monkeypatch.setattr(objects, "READERS", 1)
    workspace.root.write("a", BODY)
    info = workspace.root.head("a")
    script.faults = [
        Fault(
            "GET",
            "/shop/a",
            "call",
            skip=2,
            action=lambda: s3.put_object(Bucket="reviews", Key="shop/a", Body=BODY[::-1]),
        )
    ]
    with pytest.raises(DataError, match=r"s3://reviews/shop/a.*changed"):
        workspace.root.download(info, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def move(to_model, from_model=None):
    return moving(to_model, M3.known_until, from_model)


def test_a_promotion_whose_answer_is_lost_is_not_taken_for_somebody_elses(faulty):
    workspace, script = faulty
    script.faults = [Fault("PUT", "channels/production.json", "lost")]
    channels = Channels(workspace.root)
    channels.move(move("m1"), None)
    assert channels.read("production").model_id == "m1"
    assert [entry.to_model for entry in channels.history("production")] == ["m1"]


def test_a_move_killed_before_its_history_is_appended_is_appended_later(faulty):
    workspace, script = faulty
    channels = Channels(workspace.root)
    script.faults = [Fault("PUT", "production/history/", "500", times=3)]
    with pytest.raises(TransientError):
        channels.move(move("m1"), None)
    state = channels.read("production")
    assert state.model_id == "m1"
    channels.move(move("m2", "m1"), state)
    assert sorted(entry.to_model for entry in channels.history("production")) == ["m1", "m2"]


def test_of_two_promotions_at_once_one_wins_and_the_other_says_so(faulty, s3):
    workspace, script = faulty
    channels = Channels(workspace.root)
    state = channels.move(move("m0"), None)
    other = Channels(objects.ObjectStore(s3, "reviews", "shop"))
    script.faults = [
        Fault("PUT", "channels/production.json", "call", action=lambda: other.move(move("m2", "m0"), state))
    ]
    with pytest.raises(PreconditionFailed, match="somebody else moved the channel while m1"):
        channels.move(move("m1", "m0"), state)
    assert channels.read("production").model_id == "m2"
    assert sorted(entry.to_model for entry in channels.history("production")) == ["m0", "m2"]


@pytest.mark.parametrize(("kind", "error"), [("503", TransientError), ("403", ConfigError)])
def test_an_upload_that_fails_names_the_object_and_who_can_fix_it(faulty, tmp_path, kind, error):
    workspace, script = faulty
    (tmp_path / "a").write_bytes(BODY)
    script.faults = [Fault("PUT", "/shop/a", kind, times=99)]
    with pytest.raises(error, match="s3://reviews/shop/a"):
        workspace.root.upload(tmp_path / "a", "a")
