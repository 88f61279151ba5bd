"""Versions are immutable, channels move by compare-and-swap, bundles are verified before use."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from include.recommender.errors import ConfigError, DataError, NotFound, PreconditionFailed
from include.recommender.models.als import Als
from include.recommender.registry.bundle import ModelPart, describe, load_seen, read_manifest, save_seen
from include.recommender.registry.channels import Move
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET


def part():
    rng = np.random.default_rng(1)
    als = Als(rng.random((3, 2), dtype=np.float32), rng.random((4, 2), dtype=np.float32))
    return ModelPart(als, pa.array(["a", "b", "c"]), pa.array(["00", "01", "02", "03"]), np.arange(4.0))


def bundle(directory):
    directory.mkdir()
    part().save(directory, "published")
    save_seen(directory, sparse.csr_matrix(np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=np.float32)))
    return describe(directory, {"model_id": "m1", "as_of": "2018-09-03"})


def move(to_model, from_model=None):
    return Move("production", "20180903T000000Z", from_model, to_model, "2018-09-03", "test", "test", "PROMOTE", "r1")


def test_a_bundle_comes_back_as_it_was(workspace, tmp_path):
    manifest = bundle(tmp_path / "made")
    assert workspace.registry.publish("m1", tmp_path / "made", manifest)
    assert workspace.registry.fetch("m1", tmp_path / "got") == manifest
    loaded = ModelPart.load(tmp_path / "got", "published")
    assert np.array_equal(loaded.als.item_factors, part().als.item_factors)
    assert loaded.user_ids.to_pylist() == ["a", "b", "c"]
    assert load_seen(tmp_path / "got", (3, 4)).indices.tolist() == [0, 2, 1]


def test_a_version_is_written_once(workspace, tmp_path):
    manifest = bundle(tmp_path / "made")
    assert workspace.registry.publish("m1", tmp_path / "made", manifest)
    assert not workspace.registry.publish("m1", tmp_path / "made", manifest)
    np.save(tmp_path / "made" / "published_prior.npy", np.ones(4))
    with pytest.raises(DataError, match="models/m1: exists with other content"):
        workspace.registry.publish("m1", tmp_path / "made", describe(tmp_path / "made", {"model_id": "m1"}))


def test_a_flipped_byte_in_any_file_is_refused_by_name(workspace, s3, tmp_path):
    manifest = bundle(tmp_path / "made")
    workspace.registry.publish("m1", tmp_path / "made", manifest)
    for name in manifest["files"]:
        key = f"shop/models/m1/{name}"
        whole = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        damaged = bytearray(whole)
        damaged[len(damaged) // 2] ^= 1
        s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(damaged))
        with pytest.raises(DataError, match=f"{name}: SHA-256"):
            workspace.registry.fetch("m1", tmp_path / name)
        s3.put_object(Bucket=BUCKET, Key=key, Body=whole)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("published_user_factors.npy", np.zeros((3, 2)), "expected float32"),
        ("published_user_factors.npy", np.zeros((2, 2), np.float32), "expected"),
        ("published_item_factors.npy", np.full((4, 2), np.nan, np.float32), "not finite"),
        ("published_prior.npy", np.zeros(3), "expected"),
    ],
)
def test_loading_checks_shapes_types_and_finiteness(tmp_path, name, array, says):
    bundle(tmp_path / "made")
    np.save(tmp_path / "made" / name, array)
    with pytest.raises(DataError, match=f"{name}.*{says}"):
        ModelPart.load(tmp_path / "made", "published")


@pytest.mark.parametrize(("raw", "says"), [(b"{}", "not a bundle manifest"), (b'{"format": 99}', "format 99")])
def test_a_manifest_of_another_kind_is_refused(raw, says):
    with pytest.raises(DataError, match=says):
        read_manifest(raw, "s3://b/models/m1/manifest.json")


def test_a_channel_moves_only_from_the_state_that_was_seen(workspace, tmp_path):
    manifest = bundle(tmp_path / "made")
    for name in ("m1", "m2"):
        workspace.registry.publish(name, tmp_path / "made", manifest)
    first = workspace.registry.promote(move("m1"), None)
    second = workspace.registry.promote(move("m2", "m1"), first)
    with pytest.raises(PreconditionFailed, match="Nothing was changed"):
        workspace.registry.promote(move("m1", "m2"), first)
    assert workspace.registry.channels.read("production") == second
    assert sorted(row.to_model for row in workspace.registry.channels.history("production")) == ["m1", "m2"]


def test_a_channel_never_points_to_what_is_not_there(workspace):
    with pytest.raises(NotFound, match="models/m9"):
        workspace.registry.promote(move("m9"), None)
    assert workspace.registry.channels.read("production") is None


class Forgetful(ObjectStore):
    """A store that takes conditional writes and ignores one of the conditions, as some S3-compatible ones do."""

    ignored = "create_only"

    def write(self, key, data, **conditions):
        return super().write(key, data, **{name: value for name, value in conditions.items() if name != self.ignored})


@pytest.mark.parametrize(("ignored", "header"), [("create_only", "If-None-Match"), ("if_match", "If-Match")])
def test_nothing_is_promoted_on_a_store_that_ignores_conditions(workspace, tmp_path, monkeypatch, ignored, header):
    from include.recommender.registry.registry import Registry

    workspace.registry.publish("m1", tmp_path / "made", bundle(tmp_path / "made"))
    store = Forgetful(workspace.root.client, BUCKET, "shop")
    object.__setattr__(store, "ignored", ignored)
    monkeypatch.setattr("include.recommender.registry.atomicity._proven", set())
    with pytest.raises(ConfigError, match=header):
        Registry(store).promote(move("m1"), None)
    assert workspace.registry.channels.read("production") is None
