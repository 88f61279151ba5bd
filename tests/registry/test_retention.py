"""Old versions go; what a channel or its recent history names stays, whatever the moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from botocore.awsrequest import AWSResponse
from urllib3 import HTTPResponse

from include.recommender.errors import ConfigError, DataError, NotFound, TransientError
from include.recommender.registry import retention
from include.recommender.registry.registry import Actor
from include.recommender.registry.retention import Retention, plan, retire
from include.recommender.registry.sealed import write_document
from include.recommender.registry.versions import Tombstone, manifest_key, tombstone_key

from .makers import CREATED, M1, M2, M3, M4, M5, line, move, publish, version

NOTHING = Retention(keep_newest=0, keep_moves=0)


@pytest.fixture
def registry(workspace):
    return workspace.registry


def retired(done):
    return [row.model_id for row in done.retired]


def keys(registry, prefix="models/"):
    return {row.key for row in registry.objects.walk(prefix)}


GOES_BY_RULE = [
    (NOTHING, [M5, M3, M2, M1]),
    (Retention(keep_newest=2, keep_moves=0), [M3, M2, M1]),
    (Retention(keep_newest=0, keep_moves=1), [M3, M2, M1]),
    (Retention(keep_newest=0, keep_moves=2), [M3, M2, M1]),
    (Retention(keep_newest=0, keep_moves=3), [M2, M1]),
    (Retention(keep_newest=4, keep_moves=0), [M1]),
    (Retention(keep_newest=9, keep_moves=0), []),
    (Retention(keep_newest=0, keep_moves=9), []),
]


def test_what_goes_by_rule(registry):
    line(registry, M1, M2, M3, M4, M5)
    registry.rollback("production", by=Actor("ann", "bad"))  # production: m4; this move names m5 too
    move(registry, M1, channel="staging")
    move(registry, M5, channel="staging")
    for rule, goes in GOES_BY_RULE:
        expected = [name for name in goes if name != M5]  # staging points to it
        if rule.keep_moves:
            expected = [name for name in expected if name != M1]  # of staging's moves
        assert retired(plan(registry, rule)) == expected, rule


def test_among_versions_that_know_the_same_those_created_last_are_the_newest(registry):
    b, a = version("b", 1), version("a", 1)
    publish(registry, b, created_at=CREATED)
    publish(registry, a, created_at=CREATED + timedelta(hours=1))
    assert retired(plan(registry, Retention(keep_newest=1, keep_moves=0))) == [b]


def test_the_newest_are_those_that_know_most_whatever_the_dates_of_their_runs(registry):
    publish(registry, M1, as_of=datetime(2026, 11, 1, tzinfo=UTC), created_at=CREATED + timedelta(days=9))
    publish(registry, M2)
    assert retired(plan(registry, Retention(keep_newest=1, keep_moves=0))) == [M1]


def test_telling_what_would_go_changes_nothing(registry, s3):
    line(registry, M1, M2, M3)
    before = keys(registry, "")
    assert retired(retire(registry, NOTHING, "ann")) == [M2, M1]
    assert keys(registry, "") == before


def test_a_retired_version_is_gone_and_what_it_was_is_still_told(registry):
    line(registry, M1, M2, M3)
    manifest = registry.manifest(M1)
    done = retire(registry, NOTHING, "ann@shop", dry_run=False)
    assert (retired(done), done.spared, done.problems) == ([M2, M1], [], [])
    assert registry.versions() == [M3]
    assert all(key.startswith(f"models/{M3}/") for key in keys(registry))
    assert registry.tombstone(M1).manifest == manifest
    with pytest.raises(NotFound, match=rf"{M1}: was retired at 20.* by ann@shop"):
        registry.manifest(M1)
    with pytest.raises(ConfigError, match=f"no version below {M3} is left"):
        registry.rollback("production", by=Actor("ann", "bad"))
    assert len(registry.channels.history("production")) == 3
    assert retired(retire(registry, NOTHING, "ann", dry_run=False)) == []


def test_a_retired_version_can_be_published_again(registry):
    line(registry, M1, M2)
    retire(registry, NOTHING, "ann", dry_run=False)
    publish(registry, M1)
    assert registry.versions() == [M1, M2]


def test_files_of_killed_uploads_go_when_they_are_old(registry):
    line(registry, M1)
    registry.objects.write("models/half/judged_prior.npy", b"x" * 10)
    rule = Retention()
    assert plan(registry, rule).leftovers == []
    later = plan(registry, rule, now=datetime.now(UTC) + timedelta(days=2))
    assert [(row.model_id, row.size_bytes) for row in later.leftovers] == [("half", 10)]
    assert later.kept[0].model_id == M1
    retire(registry, rule, "ann", dry_run=False)
    assert "models/half/judged_prior.npy" in keys(registry)
    done = retire(registry, Retention(leftover_age=timedelta.min), "ann", dry_run=False)
    assert [row.model_id for row in done.leftovers] == ["half"]
    assert not any(key.startswith("models/half/") for key in keys(registry))


def test_more_objects_than_one_delete_takes(registry, monkeypatch):
    monkeypatch.setattr("include.recommender.storage.objects.DELETE_KEYS", 3)
    line(registry, M1, M2)
    retire(registry, NOTHING, "ann", dry_run=False)
    assert not any(key.startswith(f"models/{M1}/") for key in keys(registry))


def test_a_manifest_that_cannot_be_read_keeps_its_version(registry):
    line(registry, M1, M2)
    registry.objects.write(manifest_key(M1), b"{}")
    done = retire(registry, NOTHING, "ann", dry_run=False)
    assert {row.model_id: row.kept_because for row in done.kept}[M1] == ("its manifest cannot be read",)
    assert manifest_key(M1) in keys(registry)


@pytest.mark.parametrize("lost", ["channels/production.json", "channels/production/history/"])
def test_nothing_goes_while_a_channel_cannot_be_read(registry, lost):
    line(registry, M1, M2, M3)
    first = next(registry.objects.walk(lost)).key
    registry.objects.write(first, b"damaged")
    before = keys(registry)
    with pytest.raises(DataError, match=first):
        retire(registry, NOTHING, "ann", dry_run=False)
    registry.objects.delete([first])
    if lost.endswith(".json"):
        with pytest.raises(DataError, match="pointer is gone"):
            retire(registry, NOTHING, "ann", dry_run=False)
    assert keys(registry) == before


def test_a_retirement_that_was_killed_after_the_manifests_is_mended_where_a_channel_came_to_point(registry):
    line(registry, M1, M2)
    body = registry.objects.read(manifest_key(M2))
    tombstone = Tombstone(retired_at=CREATED, who="ann", manifest=registry.manifest(M2))
    registry.objects.write(tombstone_key(M2), write_document(tombstone))
    registry.objects.delete([manifest_key(M2)])
    assert M2 not in registry.versions()
    retire(registry, Retention(), "ann", dry_run=False)
    assert registry.objects.read(manifest_key(M2)) == body
    assert registry.versions() == [M1, M2]


def test_a_rule_below_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"(?s)keep_newest=-1.*keep_moves=-2"):
        Retention(keep_newest=-1, keep_moves=-2)


def test_an_upload_that_begins_anew_over_leftovers_keeps_its_files(registry, monkeypatch):
    """Between the plan and the deletion a task writes the first file of the same version again."""
    line(registry, M1)
    old, fresh = "models/half/fold.json", "models/half/judged_prior.npy"
    registry.objects.write(old, b"x")
    walk = type(registry.objects).walk
    long_ago = datetime.now(UTC) - timedelta(days=9)

    def aged(self, prefix=""):
        for row in walk(self, prefix):
            yield replace(row, modified_at=long_ago) if row.key == old else row

    monkeypatch.setattr(type(registry.objects), "walk", aged)
    monkeypatch.setattr(retention, "_write_tombstones", lambda *_: registry.objects.write(fresh, b"x"))
    done = retire(registry, Retention(), "ann", dry_run=False)
    assert [row.model_id for row in done.leftovers] == ["half"]
    assert {old, fresh} <= keys(registry)


@pytest.mark.parametrize(("code", "error"), [("AccessDenied", ConfigError), ("InternalError", TransientError)])
def test_an_object_that_the_store_did_not_delete_is_an_error(registry, code, error):
    """S3 answers a batch delete with 200 and names in it what it did not delete."""
    body = (
        f"<DeleteResult><Error><Key>shop/models/a</Key><Code>{code}</Code><Message>m</Message></Error></DeleteResult>"
    )

    def answer(request, **_):
        return AWSResponse(request.url, 200, {}, HTTPResponse(BytesIO(body.encode()), preload_content=False))

    registry.objects.client.meta.events.register("before-send.s3.DeleteObjects", answer)
    with pytest.raises(error, match="Cannot delete s3://reviews/shop/models/a"):
        registry.objects.delete(["models/a"])


def test_a_pointer_that_somebody_copied_is_no_channel(registry):
    line(registry, M1, M2)
    for key in ("channels/backup/production.json", "channels/.hidden.json", "channels/a/b/history/1.json"):
        registry.objects.write(key, registry.objects.read("channels/production.json"))
    assert registry.channels.names() == ["production"]
    assert retired(retire(registry, NOTHING, "ann", dry_run=False)) == [M1]
