"""Moves and retirements at the worst moment: killed, raced, answered with errors."""

from datetime import timedelta

import pytest

from include.recommender.errors import ConfigError, NotFound, PreconditionFailed, TransientError
from include.recommender.registry.registry import Actor, Registry
from include.recommender.registry.retention import Retention, retire
from include.recommender.registry.versions import manifest_key
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from ..registry.makers import M1, M2, M3, M4, line, move, moving, publish, version
from .proxy import Fault

NOTHING = Retention(keep_newest=0, keep_moves=0)
POINTER = r"channels/production\.json"
BY = Actor("ann", "bad")


@pytest.fixture
def direct(s3):
    """The registry without the proxy: somebody else."""
    return Registry(ObjectStore(s3, BUCKET, "shop"))


def moves_of(registry):
    return [(row.number, row.to_model) for row in registry.channels.history("production")]


def test_a_rollback_that_is_killed_between_pointer_and_history_is_seen_and_reported_by_the_next(faulty, direct):
    workspace, script = faulty
    line(direct, M1, M2)
    script.faults = [Fault("PUT", "production/history/0*3-", "500", times=3)]
    with pytest.raises(TransientError):
        workspace.registry.rollback("production", by=BY)
    expected = [(1, M1), (2, M2), (3, M1)]
    assert moves_of(direct) == expected  # from the pointer
    assert len(list(direct.objects.walk("channels/production/history/"))) == 2
    publish(direct, M4)
    move(direct, M4)
    assert moves_of(direct) == [*expected, (4, M4)]
    assert len(list(direct.objects.walk("channels/production/history/"))) == 4


@pytest.mark.parametrize("kind", ["409", "500", "503", "reset"])
def test_a_pointer_write_that_fails_for_a_moment_is_written_again(faulty, kind):
    workspace, script = faulty
    line(workspace.registry, M1, M2)
    script.faults = [Fault("PUT", POINTER, kind, times=3)]
    assert workspace.registry.rollback("production", by=BY).model_id == M1
    assert moves_of(workspace.registry) == [(1, M1), (2, M2), (3, M1)]


@pytest.mark.parametrize("kind", ["409", "500"])
def test_a_pointer_write_that_fails_for_good_moves_nothing(faulty, kind):
    workspace, script = faulty
    line(workspace.registry, M1, M2)
    script.faults = [Fault("PUT", POINTER, kind, times=99)]
    with pytest.raises(TransientError, match=r"channels/production\.json"):
        workspace.registry.rollback("production", by=BY)
    assert moves_of(workspace.registry) == [(1, M1), (2, M2)]


def test_a_first_promotion_whose_every_answer_is_lost_counts_once(faulty):
    workspace, script = faulty
    publish(workspace.registry, M1)
    script.faults = [Fault("PUT", POINTER, "lost", times=2)]
    assert move(workspace.registry, M1).model_id == M1
    assert moves_of(workspace.registry) == [(1, M1)]


def test_who_loses_against_a_write_after_a_lost_one_learns_who_won(faulty, direct):
    """Ours fails with 500, theirs lands, ours is tried again: it must not win."""
    workspace, script = faulty
    line(direct, M1, M2)
    publish(direct, M3)
    script.faults = [Fault("PUT", POINTER, "500", times=3)]
    script.faults.append(Fault("PUT", POINTER, "call", action=lambda: move(direct, M3, why="theirs")))
    with pytest.raises(PreconditionFailed, match=rf"dag moved it to {M3} .*theirs.*Nothing was changed"):
        workspace.registry.rollback("production", by=BY)
    assert moves_of(direct)[-1] == (3, M3)


@pytest.fixture
def untried(faulty, monkeypatch):
    """The store was not tried before."""
    monkeypatch.setattr("include.recommender.registry.atomicity._proven", set())


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize(("kind", "times"), [("409", 8), ("409", 3), ("503", 20), ("reset", 8), ("lost", 8)])
def test_faults_while_the_store_is_tried_do_not_make_it_look_unsafe(faulty, direct, kind, times):
    workspace, script = faulty
    script.faults = [Fault("PUT", r"channels/\.probe", kind, times=times)]
    workspace.registry.channels.probe()
    assert script.faults[0].times == 0
    assert list(direct.objects.walk("channels/")) == []


@pytest.mark.usefixtures("untried")
def test_a_store_is_tried_once_by_a_process(faulty):
    workspace, script = faulty
    workspace.registry.channels.probe()
    asked = len(script.seen)
    workspace.registry.channels.probe()
    assert len(script.seen) == asked > 0


@pytest.mark.usefixtures("untried")
def test_a_role_that_may_not_delete_can_try_the_store(faulty):
    workspace, script = faulty
    script.faults = [Fault("POST", "delete", "403", times=9)]
    workspace.registry.channels.probe()
    assert script.count("POST", "delete") == 1


def test_a_version_that_is_retired_while_it_is_promoted_is_not_live_afterwards(faulty, direct):
    """The whole retirement happens between the look at the manifest and the move."""
    workspace, script = faulty
    line(direct, M1, M2)
    old = publish(direct, version("old", 3))
    script.faults = [Fault("PUT", POINTER, "call", action=lambda: retire(direct, NOTHING, "ann", dry_run=False))]
    with pytest.raises(NotFound, match=rf"{old}: was retired while production moved to it.*points to {M2}"):
        move(workspace.registry, old)
    assert direct.channels.read("production").model_id == M2
    assert M2 in direct.versions()
    assert [row.kind for row in direct.channels.history("production")][-2:] == ["promote", "rollback"]


def test_a_rollback_to_what_is_retired_in_that_moment_goes_forth_again(faulty, direct):
    workspace, script = faulty
    line(direct, M1, M2)
    script.faults = [Fault("PUT", POINTER, "call", action=lambda: retire(direct, NOTHING, "ann", dry_run=False))]
    with pytest.raises(NotFound, match=f"{M1}: was retired while production moved to it"):
        workspace.registry.rollback("production", by=BY)
    assert direct.channels.read("production").model_id == M2
    assert direct.was_rolled_back("production", M2) is None


def test_a_version_that_is_promoted_while_it_is_retired_gets_its_manifest_back(faulty, direct):
    """The promotion has looked at the manifest; the move lands after the manifest was deleted."""
    workspace, script = faulty
    line(direct, M1, M2)
    publish(direct, M3)
    manifest = direct.objects.read(manifest_key(M3))
    state = direct.channels.read("production")
    ahead = direct.manifest(M3)

    def land():
        direct.channels.move(moving(M3, ahead.known_until, M2), state)

    # The first batch delete takes the manifests; the next request that reads the pointer finds it moved.
    script.faults = [Fault("POST", r"\?delete", "call", action=land)]
    done = retire(workspace.registry, NOTHING, "ann", dry_run=False)
    assert done.spared == [M3]
    assert M3 not in [row.model_id for row in done.retired]
    assert direct.objects.read(manifest_key(M3)) == manifest
    assert direct.wrong_files(direct.manifest(M3)) == {}


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_retirement_killed_anywhere_is_ended_by_the_next(faulty, direct, skip):
    workspace, script = faulty
    line(direct, M1, M2, M3)
    script.faults = [Fault("POST", r"\?delete", "500", times=99, skip=skip)]
    with pytest.raises(TransientError):
        retire(workspace.registry, NOTHING, "ann", dry_run=False)
    assert M3 in direct.versions()
    script.faults = []
    retire(workspace.registry, Retention(0, 0, leftover_age=timedelta.min), "ann", dry_run=False)
    assert {row.key.split("/")[1] for row in direct.objects.walk("models/")} == {M3}
    assert direct.tombstone(M1).manifest.model_id == M1


def test_no_right_to_delete_says_so(faulty):
    workspace, script = faulty
    line(workspace.registry, M1, M2)
    script.faults = [Fault("POST", r"\?delete", "403", times=99)]
    with pytest.raises(ConfigError, match=f"Cannot delete s3://reviews/shop/models/{M1}"):
        retire(workspace.registry, NOTHING, "ann", dry_run=False)
    assert workspace.registry.versions() == [M1, M2]
