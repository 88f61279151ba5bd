"""The batches of a version go with it, manifest first; which versions have one is listed."""

from datetime import UTC, datetime, timedelta

import pytest

from include.recommender.registry.batches import all_finished, finished
from include.recommender.registry.listing import pointers, summaries
from include.recommender.registry.retention import Retention, plan, retire
from include.recommender.registry.versions import manifest_key
from include.recommender.storage.objects import ObjectStore

from .makers import M1, M2, line, move, publish

NOTHING = Retention(keep_newest=0, keep_moves=0)


@pytest.fixture
def registry(workspace):
    return workspace.registry


def write_batch(registry, model_id, plan="abc", *, whole=True):
    """A batch of two parts; return the keys of its objects."""
    folder = f"recommendations/{model_id}/{plan}"
    names = ["users/part-00000.parquet", "similar/part-00000.parquet", *(["manifest.json"] if whole else [])]
    for name in names:
        registry.objects.write(f"{folder}/{name}", b"x" * 10)
    return {f"{folder}/{name}" for name in names}


def batch_keys(registry):
    return {row.key for row in registry.objects.walk("recommendations/")}


def test_only_batches_with_a_manifest_are_listed(registry):
    line(registry, M1, M2)
    write_batch(registry, M1)
    write_batch(registry, M1, "def")
    write_batch(registry, M2, whole=False)
    expected = (f"recommendations/{M1}/abc", f"recommendations/{M1}/def")
    assert finished(registry.objects, M1) == expected
    assert all_finished(registry.objects) == {M1: expected, M2: ()}
    found = {row.model_id: row.recommendations for row in summaries(registry, pointers(registry))}
    assert found == {M1: expected, M2: ()}


def test_the_batches_of_a_retired_version_go_and_others_stay(registry):
    line(registry, M1, M2)
    write_batch(registry, M1)
    write_batch(registry, M1, "half", whole=False)
    stays = write_batch(registry, M2)
    planned = plan(registry, NOTHING)
    assert [(row.model_id, row.recommendations_bytes) for row in planned.retired] == [(M1, 50)]
    assert planned.freed_bytes == planned.retired[0].size_bytes + 50
    before = batch_keys(registry)
    retire(registry, NOTHING, "ann")
    assert batch_keys(registry) == before
    retire(registry, NOTHING, "ann", dry_run=False)
    assert batch_keys(registry) == stays


def test_manifests_of_batches_go_before_their_parts_and_after_the_versions(registry, monkeypatch):
    line(registry, M1, M2)
    write_batch(registry, M1)
    deleted, delete = [], ObjectStore.delete

    def noted(self, keys):
        deleted.extend(key for key in keys if "probe" not in key)
        delete(self, keys)

    monkeypatch.setattr(ObjectStore, "delete", noted)
    retire(registry, NOTHING, "ann", dry_run=False)
    assert deleted[:2] == [manifest_key(M1), f"recommendations/{M1}/abc/manifest.json"]
    assert {key.split("/")[0] for key in deleted[2:4]} == {"recommendations"}
    assert {key.split("/")[0] for key in deleted[4:]} == {"models"}


def test_a_version_that_a_channel_came_to_point_to_keeps_its_batches(registry, monkeypatch):
    line(registry, M1, M2)
    batch = write_batch(registry, M1)
    delete = ObjectStore.delete

    def moved(self, keys):
        if manifest_key(M1) in keys:
            monkeypatch.setattr(ObjectStore, "delete", delete)
            move(registry, M1, "rollback")
        delete(self, keys)

    monkeypatch.setattr(ObjectStore, "delete", moved)
    done = retire(registry, NOTHING, "ann", dry_run=False)
    assert done.spared == [M1]
    assert batch_keys(registry) == batch
    assert registry.manifest(M1)


@pytest.mark.parametrize("killed_at", range(1, 4))
def test_a_retirement_that_was_killed_is_completed_by_the_next(registry, monkeypatch, killed_at):
    line(registry, M1, M2)
    write_batch(registry, M1)
    calls, delete = [], ObjectStore.delete

    def dies(self, keys):
        if not any("probe" in key for key in keys):
            calls.append(keys)
            if len(calls) > killed_at:
                raise KeyboardInterrupt
        delete(self, keys)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "delete", dies)
        with pytest.raises(KeyboardInterrupt):
            retire(registry, NOTHING, "ann", dry_run=False)
    assert registry.versions() == [M2]
    retire(registry, NOTHING, "ann", dry_run=False)
    later = plan(registry, NOTHING, now=datetime.now(UTC) + timedelta(days=2))
    assert [row.model_id for row in later.leftovers] == [M1]
    retire(registry, Retention(leftover_age=timedelta.min), "ann", dry_run=False)
    assert batch_keys(registry) == set()
    assert not list(registry.objects.walk(f"models/{M1}/"))


def test_a_batch_that_was_finished_after_its_version_went_is_a_leftover_once_it_is_old(registry):
    publish(registry, M2)
    write_batch(registry, M1)
    assert plan(registry, Retention()).leftovers == []
    later = plan(registry, Retention(), now=datetime.now(UTC) + timedelta(days=2))
    assert [(row.model_id, row.size_bytes, row.recommendations_bytes) for row in later.leftovers] == [(M1, 0, 30)]
