"""Documents and files of the registry that something has changed: each is refused, by name, and nothing is moved."""

import json
import random
from contextlib import suppress

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.recommender.errors import DataError, NotFound
from include.recommender.registry.bundle import ModelPart, read_manifest, served_config
from include.recommender.registry.registry import Actor
from include.recommender.registry.sealed import read_document, write_document
from include.recommender.registry.seen import Seen
from include.recommender.registry.versions import Tombstone, file_key, manifest_key, tombstone_key
from include.recommender.storage.artifacts import canonical_hash

from .makers import CREATED, M1, M2, M3, make, move, moving, publish, version

BY = Actor("ann@shop", "sells nothing")
N_FLIPS = 1500


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"), M1)


@pytest.fixture
def registry(workspace):
    return workspace.registry


def line(registry):
    for name in (M1, M2, M3):
        publish(registry, name)
        move(registry, name)


def documents(manifest):
    return {
        "manifest": manifest,
        "move": msgspec.structs.replace(moving(M2, M2.known_until, M1), number=7),
        "tombstone": Tombstone(retired_at=CREATED, who="ann", manifest=manifest),
    }


def ids(*values):
    return pa.table({"id": pa.array(values, pa.large_string())})


@pytest.mark.parametrize("kind", ["manifest", "move", "tombstone"])
def test_a_flipped_bit_or_a_cut_is_refused_or_means_the_same(manifest, kind):
    document = documents(manifest)[kind]
    raw = write_document(document)
    rng = random.Random(20_181)
    flips = [(rng.randrange(len(raw)), 1 << rng.randrange(8)) for _ in range(N_FLIPS)]
    damaged = [raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :] for at, bit in flips]
    taken = 0
    for each in [*damaged, *(raw[:end] for end in range(0, len(raw), 41))]:
        with suppress(DataError):
            assert read_document(each, type(document), "s3://b/x", "Fix it.") == document
            taken += 1
    assert taken < N_FLIPS * 0.05  # white space for white space, and the case of an escape or exponent


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model_id": "20180831-000000000000"}, "its identity gives"),
        ({"published_split_s": 1_500_000_000}, "its identity gives"),
        ({"identity": {"label": "other"}}, "its identity gives"),
        ({"as_of": "2018-01-01T00:00:00+00:00"}, "expected an instant from 2018-09-01"),
        ({"as_of": "9018-09-01T00:00:00+00:00"}, "expected an instant from"),
        ({"as_of": "2018-09-01T00:00:00"}, "as_of: Expected `datetime` with a timezone"),
        ({"as_of": 7}, "as_of: Expected `datetime`, got `int`"),
        ({"split_s": 1_600_000_000}, "expected in this order"),
        ({"split_s": "1530000000"}, "split_s: Expected `int`, got `str`"),
        ({"last_s": 1_400_000_000}, "expected in this order"),
        ({"metrics": {}}, "lacks candidate"),
        ({"verdict": {}}, "verdict: Object missing required field"),
        ({"colour": "red"}, "'colour' is no field of it"),
        ({"format": 1}, "format 1, this code reads format 3"),
        ({"libraries": [1]}, "libraries: Expected `object`, got `array`"),
    ],
)
def test_a_manifest_with_the_right_digest_of_a_wrong_content_names_it(manifest, change, expected):
    body = {**msgspec.to_builtins(manifest), **change}
    raw = json.dumps({**body, "digest": canonical_hash(body)}).encode()
    with pytest.raises(DataError, match="s3://b/m: not a manifest") as caught:
        read_manifest(raw, "s3://b/m", M1)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("../../dags/x.py", {}),
        ("fold.json", {"stored_as": "../../x"}),
        ("fold.json", {"stored_as": "verdict.json"}),
        ("fold.json", {"stored_as": "fold.json\n"}),
        ("fold.json", {"sha256": "x"}),
        ("fold.json", {"size_bytes": -1}),
        (".hidden", {}),
        ("manifest.json", {}),
    ],
)
def test_a_manifest_names_plain_files_only(manifest, name, entry):
    body = msgspec.to_builtins(manifest)
    body["files"][name] = {"size_bytes": 1, "sha256": "0" * 64, "stored_as": name, **entry}
    with pytest.raises(DataError):
        read_manifest(json.dumps({**body, "digest": canonical_hash(body)}).encode(), "s3://b/m", M1)


def test_documents_that_were_copied_to_another_name_are_refused(registry):
    line(registry)
    objects = registry.objects
    objects.write(manifest_key(M2), objects.read(manifest_key(M1)))
    with pytest.raises(DataError, match=rf"models/{M2}/manifest.json: is the manifest of {M1}"):
        registry.manifest(M2)
    objects.write(
        tombstone_key(M2), write_document(Tombstone(retired_at=CREATED, who="x", manifest=registry.manifest(M1)))
    )
    with pytest.raises(DataError, match=f"is what is kept of {M1}"):
        registry.tombstone(M2)
    first, second = (row.key for row in list(objects.walk("channels/production/history/"))[:2])
    objects.write(second, objects.read(first))
    with pytest.raises(DataError, match=f"{second}: holds move 1, of {first}"):
        registry.channels.history("production")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "m\n", "m\x1b[2J", "..", "x" * 200])
def test_no_name_leaves_the_folder_of_versions(registry, name):
    with pytest.raises(NotFound, match="no version has such a name"):
        registry.manifest(name)


def damage(registry, model_id, name, how):
    """Change one file of a version; return its key."""
    entry = registry.manifest(model_id).files[name]
    key, whole = file_key(model_id, entry), registry.objects.read(file_key(model_id, entry))
    if how == "gone":
        registry.objects.delete([key])
    else:
        flipped = bytes([whole[0] ^ 1]) + whole[1:]
        registry.objects.write(key, {"empty": b"", "short": whole[:-1], "long": whole + b"x", "flipped": flipped}[how])
    return key


@pytest.mark.parametrize("how", ["gone", "empty", "short", "long"])
def test_a_version_with_a_damaged_file_never_becomes_live(registry, how):
    line(registry)
    publish(registry, ahead := version("ahead", 9))
    for name in ("published_item_factors.npy", "MODEL_CARD.md"):
        for model_id in (M2, ahead):
            key = damage(registry, model_id, name, how)
    before = registry.channels.read("production")
    expected = rf"(?s){key}: .*expected .*bytes.*{ahead} is damaged, production was not moved and points to {M3}"
    with pytest.raises(DataError, match=expected + rf".*\n.* promote {M3} --why"):
        registry.promote_by_hand("production", ahead, by=BY)
    with pytest.raises(DataError, match=expected):
        move(registry, ahead)
    for verify in (True, False):
        expected = rf"(?s){M2} is damaged, production was not moved and points to {M3}.*rollback --to {M1} --why"
        with pytest.raises(DataError, match=expected):
            registry.rollback("production", by=BY, verify=verify)
    assert registry.channels.read("production") == before
    assert registry.rollback("production", M1, by=BY).model_id == M1


def test_a_flipped_bit_is_found_where_the_files_are_read(registry):
    line(registry)
    damage(registry, M2, "published_prior.npy", "flipped")
    with pytest.raises(DataError, match=rf"(?s){M2}/published_prior.npy: SHA-256.*{M2} is damaged.*--to {M1}"):
        registry.rollback("production", by=BY)
    assert registry.channels.read("production").model_id == M3
    assert registry.rollback("production", by=BY, verify=False).model_id == M2
    with pytest.raises(DataError, match="SHA-256"):
        registry.promote_by_hand("staging", M2, by=BY, create=True, verify=True)
    assert registry.promote_by_hand("staging", M2, by=BY, create=True).model_id == M2


def test_files_that_changed_places_between_two_versions_are_found(registry):
    publish(registry, M1)
    publish(registry, M2, items=("05", "06", "07", "08"))
    move(registry, M1)
    move(registry, M2)
    name = "published_items.parquet"
    one, two = (file_key(each, registry.manifest(each).files[name]) for each in (M1, M2))
    first, second = registry.objects.read(one), registry.objects.read(two)
    assert first != second
    registry.objects.write(one, second)
    registry.objects.write(two, first)
    with pytest.raises(DataError, match=rf"{M1}/{name}"):
        registry.rollback("production", by=BY)


def test_a_damaged_manifest_is_no_way_back_and_the_next_one_is_named(registry):
    line(registry)
    registry.objects.write(manifest_key(M2), b"{}")
    with pytest.raises(DataError, match=rf"(?s){M2}/manifest.json: not a manifest.*{M2} is damaged.*--to {M1}"):
        registry.rollback("production", by=BY)


def test_where_nothing_whole_is_left_the_message_says_so(registry):
    publish(registry, M1)
    damage(registry, M1, "fold.json", "gone")
    with pytest.raises(DataError, match=r"production still points nowhere\. No other version is whole"):
        registry.promote_by_hand("production", M1, by=BY)
    with pytest.raises(DataError, match="No other version is whole"):
        move(registry, M1)
    assert registry.channels.read("production") is None


def test_a_killed_promotion_that_is_ended_over_a_damaged_version_moves_back(registry):
    line(registry)
    publish(registry, ahead := version("ahead", 9))
    state = registry.channels.move(moving(ahead, ahead.known_until, M3), registry.channels.read("production"))
    damage(registry, ahead, "fold.json", "gone")
    with pytest.raises(DataError, match=rf"(?s)fold.json: is not there.*production points to {M3}\."):
        registry.finish(state)
    last = registry.channels.history("production")[-1]
    assert (last.kind, last.from_model, last.to_model) == ("rollback", ahead, M3)
    assert last.known_until == M3.known_until


def test_nobody_moves_back_to_what_is_damaged_too(registry):
    line(registry)
    publish(registry, ahead := version("ahead", 9))
    state = registry.channels.move(moving(ahead, ahead.known_until, M3), registry.channels.read("production"))
    damage(registry, ahead, "fold.json", "gone")
    damage(registry, M3, "fold.json", "gone")
    with pytest.raises(DataError, match=rf"still points to it, for {M3} is no better"):
        registry.finish(state)
    assert registry.channels.read("production").model_id == ahead


# Loading: the hashes are those of the manifest, but what the files hold is wrong.


def header(shape, dtype="<f4", fortran="False"):
    """An array file whose header claims a shape, with no data."""
    text = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    padded = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


def pickled(path):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("published_item_factors.npy", b"", "not an array of numpy"),
        ("published_item_factors.npy", b"\x93NUMPX" + bytes(200), "magic string"),
        ("published_item_factors.npy", b"\x93NUMPY\x03\x00" + bytes(200), "version"),
        ("published_item_factors.npy", header((10**12, 2)), "needs 8,000,000,000,128"),
        ("published_item_factors.npy", header((2**62, 2**62)), "needs"),
        ("published_item_factors.npy", header((-3, 2)), "shape"),
        ("published_item_factors.npy", header((3, 2), fortran="True") + bytes(24), "by columns"),
        ("published_item_factors.npy", header((3, 2), "|O") + bytes(24), "object"),
        ("published_item_factors.npy", header((3, 2), ">f4") + bytes(24), "expected float32"),
        ("published_item_factors.npy", header((4, 2)) + bytes(33), "161 bytes, its header"),
        ("published_item_factors.npy", header((4, 2)) + bytes(31), "159 bytes, its header"),
        ("published_item_factors.npy", header((2, 2)) + bytes(16), "published_prior.npy: shape (4,), expected (2)"),
        ("published_item_factors.npy", header((3, 2)) + bytes(24), "published_prior.npy: shape (4,), expected (3)"),
        ("published_item_factors.npy", pickled, "object"),
        ("published_prior.npy", np.array([0.0, 1.0, -1.0, 2.0]), "below 0"),
        ("published_prior.npy", np.array([0.0, 1.0, np.inf, 2.0]), "not finite"),
        ("published_prior.npy", None, "there is no such file"),
        ("published_items.parquet", b"PAR1" + bytes(40) + b"PAR1", "not a vocabulary"),
        ("published_items.parquet", b"", "not a vocabulary"),
        ("published_items.parquet", None, "not a vocabulary"),
        ("published_items.parquet", pa.table({"name": ["a", "b", "c", "d"]}), "not a Parquet table"),
        ("published_items.parquet", pa.table({"id": [1, 2, 3, 4]}), "expected large_string"),
        ("published_items.parquet", ids("a", None, "c", "d"), "without nulls"),
        ("published_items.parquet", ids("a", "c", "b", "d"), "ascending"),
        ("published_items.parquet", ids("a", "a", "b", "c"), "each once"),
        ("published_items.parquet", pa.table({"id": ["a"] * 100_000}), "100,000 ids, expected 4"),
    ],
)
def test_loading_names_the_file_that_is_wrong(tmp_path, name, content, expected):
    config = served_config(make(tmp_path, M1))
    path = tmp_path / name
    if content is None:
        path.unlink()
    elif callable(content):
        content(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        np.save(path, content)
    with pytest.raises(DataError, match=r"\.(npy|parquet): ") as caught:
        ModelPart.load(tmp_path, "published", config)
    assert expected in str(caught.value)
    assert name in str(caught.value) or "published_prior" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("seen_indptr.npy", np.array([0, 2, 2], np.int64), "does not describe"),
        ("seen_indptr.npy", np.array([0, 3, 2, 3], np.int64), "does not describe"),
        ("seen_indptr.npy", np.array([1, 2, 2, 3], np.int64), "does not describe"),
        ("seen_indptr.npy", np.array([0, 2, 2, 9], np.int64), "does not describe"),
        ("seen_indptr.npy", np.zeros(0, np.int64), "does not describe"),
        ("seen_indices.npy", np.array([0, 2, 4], np.int32), "expected 0 to 3"),
        ("seen_indices.npy", np.array([0, 2, -1], np.int32), "expected 0 to 3"),
        ("seen_indices.npy", np.array([2, 0, 1], np.int32), "expected ascending, each once"),
        ("seen_indices.npy", np.array([0, 0, 1], np.int32), "expected ascending, each once"),
        ("seen_indices.npy", np.array([0.0, 2, 2], np.float32), "expected int32"),
        ("seen_times.npy", np.array([1, 2], np.int64), "shape"),
        ("seen_ratings.npy", np.array([1, np.nan, 3], np.float32), "not finite"),
        ("seen_verified.npy", np.array([0, 1, 2], np.int8), "outside -1..1"),
        ("seen_verified.npy", np.array([0, 1, -2], np.int8), "outside -1..1"),
        ("seen_users.parquet", ids("a", "c", "b"), "ascending"),
        ("seen_users.parquet", ids("a", "b"), "2 ids, expected 3"),
    ],
)
def test_histories_that_do_not_fit_are_refused(tmp_path, name, array, expected):
    make(tmp_path, M1)
    if isinstance(array, pa.Table):
        pq.write_table(array, tmp_path / name)
    else:
        np.save(tmp_path / name, array)
    with pytest.raises(DataError, match=f"{name}: .*{expected}"):
        Seen.load(tmp_path, 4)


def test_what_makes_no_version_is_not_published(tmp_path):
    with pytest.raises(DataError, match="make no version"):
        make(tmp_path, M1, as_of="1970-01-01T00:00:00+00:00")
    with pytest.raises(DataError, match="number that JSON cannot keep"):
        write_document(make(tmp_path, M1, metrics={"candidate": {"a": float("nan")}, "popularity_all_time": {}}))
