"""Versions are immutable, channels move by compare-and-swap, bundles are verified before use."""

import numpy as np
import pytest

from include.recommender.errors import ConfigError, DataError, NotFound, PreconditionFailed
from include.recommender.models.knn.similarities import ARRAYS
from include.recommender.registry.bundle import ModelPart, read_manifest, served_config
from include.recommender.registry.registry import Registry
from include.recommender.registry.seen import Seen
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from .makers import ITEMS, M1, M2, make, moving, part, seen


def bundle(directory, name=M1):
    directory.mkdir(exist_ok=True)
    return make(directory, name)


def move(to_model, from_model=None):
    return moving(to_model, to_model.known_until, from_model)


def test_a_bundle_comes_back_as_it_was(workspace, tmp_path):
    manifest = bundle(tmp_path / "made")
    assert workspace.registry.publish(tmp_path / "made", manifest)
    assert workspace.registry.fetch(M1, tmp_path / "got") == manifest
    loaded = ModelPart.load(tmp_path / "got", "published", served_config(manifest))
    for name in ARRAYS:
        assert getattr(loaded.similar, name).tolist() == getattr(part().similar, name).tolist()
    assert np.array_equal(loaded.item_factors, part().item_factors)
    assert loaded.items.ids.to_pylist() == list(ITEMS)
    found, made = Seen.load(tmp_path / "got", len(ITEMS)), seen(len(ITEMS))
    assert found.users.ids.to_pylist() == ["a", "b", "c"]
    for name in ("indptr", "indices", "times", "ratings", "verified"):
        assert getattr(found, name).tolist() == getattr(made, name).tolist()


def test_a_version_is_written_once(workspace, tmp_path):
    manifest = bundle(tmp_path / "made")
    assert workspace.registry.publish(tmp_path / "made", manifest)
    assert not workspace.registry.publish(tmp_path / "made", manifest)
    other = make(tmp_path / "made", M1, items=("00", "01", "02", "09"))
    with pytest.raises(DataError, match=f"models/{M1}: exists with other content"):
        workspace.registry.publish(tmp_path / "made", other)


def test_a_file_that_a_version_lost_is_written_again_by_who_makes_it_anew(workspace, tmp_path):
    registry, manifest = workspace.registry, bundle(tmp_path / "made")
    registry.publish(tmp_path / "made", manifest)
    workspace.root.delete([f"models/{M1}/judged_prior.npy"])
    assert set(registry.wrong_files(manifest)) == {"judged_prior.npy"}
    assert not registry.publish(tmp_path / "made", manifest)
    assert registry.whole(M1, verify=True) == manifest


@pytest.mark.parametrize("found", ["short", "other"])
@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_file_of_a_version_is_never_overwritten(workspace, tmp_path, found, with_manifest):
    registry, manifest = workspace.registry, bundle(tmp_path / "made")
    registry.publish(tmp_path / "made", manifest)
    key = f"models/{M1}/fold.json"
    foreign = b"short" if found == "short" else b"x" * manifest.files["fold.json"].size_bytes
    workspace.root.write(key, foreign)
    if not with_manifest:
        workspace.root.delete([f"models/{M1}/manifest.json"])
    if found == "short" or not with_manifest:
        with pytest.raises(DataError, match=f"{key}: .*[Dd]elete it"):
            registry.publish(tmp_path / "made", manifest)
    assert workspace.root.read(key) == foreign
    workspace.root.delete([key])
    registry.publish(tmp_path / "made", manifest)
    assert registry.whole(M1, verify=True) == manifest


def test_files_of_a_killed_upload_are_kept(workspace, tmp_path):
    registry, manifest = workspace.registry, bundle(tmp_path / "made")
    registry.publish(tmp_path / "made", manifest)
    files = {row.key: row.modified_at for row in workspace.root.walk(f"models/{M1}/")}
    workspace.root.delete([f"models/{M1}/manifest.json"])
    assert registry.publish(tmp_path / "made", manifest)
    again = {row.key: row.modified_at for row in workspace.root.walk(f"models/{M1}/")}
    del files[f"models/{M1}/manifest.json"]
    assert {key: again[key] for key in files} == files


def test_a_flipped_byte_in_any_file_is_refused_by_name(workspace, s3, tmp_path):
    manifest = bundle(tmp_path / "made")
    workspace.registry.publish(tmp_path / "made", manifest)
    for name, entry in manifest.files.items():
        key = f"shop/models/{M1}/{entry.stored_as}"
        whole = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        damaged = bytearray(whole)
        damaged[len(damaged) // 2] ^= 1
        s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(damaged))
        with pytest.raises(DataError, match=f"{entry.stored_as}: SHA-256"):
            workspace.registry.fetch(M1, tmp_path / name)
        s3.put_object(Bucket=BUCKET, Key=key, Body=whole)


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("published_item_factors.npy", np.zeros((4, 2)), "expected float32"),
        ("published_item_factors.npy", np.zeros((4, 2, 1), np.float32), "expected"),
        ("published_item_factors.npy", np.full((4, 2), np.nan, np.float32), "not finite"),
        ("published_prior.npy", np.zeros(3), "expected"),
        ("published_similar_indptr.npy", np.zeros(4, np.int64), "3 items, expected 4"),
        ("published_similar_indptr.npy", np.array([0, 4, 2, 5, 6]), "does not ascend"),
        ("published_similar_indptr.npy", np.zeros(5, np.int32), "expected int64"),
        ("published_similar_neighbours.npy", np.full(6, 4, np.int32), "expected 0 to 3"),
        ("published_similar_neighbours.npy", np.array([1, 2, 0, 1, 3, 2], np.int32), "does not ascend"),
        ("published_similar_values.npy", np.full(6, np.nan, np.float32), "not above 0"),
        ("published_similar_values.npy", np.ones(5, np.float32), "expected 6"),
    ],
)
def test_loading_checks_shapes_types_and_finiteness(tmp_path, name, array, expected):
    manifest = bundle(tmp_path / "made")
    np.save(tmp_path / "made" / name, array)
    with pytest.raises(DataError, match=f"{name}.*{expected}"):
        ModelPart.load(tmp_path / "made", "published", served_config(manifest))


@pytest.mark.parametrize(("raw", "expected"), [(b"{}", "not a manifest"), (b'{"format": 99}', "format 99")])
def test_a_manifest_of_another_kind_is_refused(raw, expected):
    with pytest.raises(DataError, match=expected):
        read_manifest(raw, "s3://b/models/m1/manifest.json", "m1")


def test_a_channel_moves_only_from_the_state_that_was_seen(workspace, tmp_path):
    for name in (M1, M2):
        workspace.registry.publish(tmp_path / "made", bundle(tmp_path / "made", name))
    first = workspace.registry.promote(move(M1), None)
    second = workspace.registry.promote(move(M2, M1), first)
    with pytest.raises(PreconditionFailed, match="Nothing was changed"):
        workspace.registry.promote(move(M1, M2), first)
    assert workspace.registry.channels.read("production") == second
    assert sorted(row.to_model for row in workspace.registry.channels.history("production")) == [M1, M2]


def test_a_channel_never_points_to_what_is_not_there(workspace):
    with pytest.raises(NotFound, match=f"models/{M2}"):
        workspace.registry.promote(move(M2), None)
    assert workspace.registry.channels.read("production") is None


class Forgetful(ObjectStore):
    """A store that takes conditional writes and ignores one of the conditions, as some S3-compatible ones do."""

    ignored = "create_only"

    def write(self, key, data, **conditions):
        return super().write(key, data, **{name: value for name, value in conditions.items() if name != self.ignored})


@pytest.mark.parametrize(("ignored", "header"), [("create_only", "If-None-Match"), ("if_match", "If-Match")])
def test_nothing_is_promoted_on_a_store_that_ignores_conditions(workspace, tmp_path, monkeypatch, ignored, header):
    workspace.registry.publish(tmp_path / "made", bundle(tmp_path / "made"))
    store = Forgetful(workspace.root.client, BUCKET, "shop")
    object.__setattr__(store, "ignored", ignored)
    monkeypatch.setattr("include.recommender.registry.atomicity._proven", set())
    with pytest.raises(ConfigError, match=header):
        Registry(store).promote(move(M1), None)
    assert workspace.registry.channels.read("production") is None
