"""Artifacts that an attacker with write access to the bucket made: consistent in themselves, and still refused."""

import io
import json

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.recommender.config import ParseConfig
from include.recommender.data.encoding import EncodedFold
from include.recommender.data.reviews import load_vocabulary
from include.recommender.data.snapshots import Snapshot, key_problem, local_path, located, resolve
from include.recommender.errors import DataError, NotFound
from include.recommender.stages import fit, judge, prepare
from include.recommender.stages.workspace import Stage, run_once
from include.recommender.storage.artifacts import _checksum, canonical_hash, read_manifest
from include.recommender.storage.objects import ObjectInfo
from include.recommender.storage.plain_names import MAX_BYTES, name_problem, plain_name

from .. import worlds
from ..candidates import JULY, Candidate
from ..conftest import BUCKET
from ..documents import verdict
from .mutations import TRAVERSALS

HASH = "ab" * 32
MANIFEST = {
    "stage": "stage",
    "fingerprint": "1" * 32,
    "files": {"a": {"size_bytes": 1, "sha256": HASH}},
    "counts": {},
    "timings": {"seconds": 1.5},
    "lineage": {},
}

TRAINED = {"start": "cold", "iterations": 1, "loss": 0.5, "seconds_per_iteration": [0.1]}


def signed(body):
    """A manifest with the checksum that belongs to it."""
    return json.dumps({**body, "checksum": _checksum(body)}).encode()


def forge(workspace, artifact, **changes):
    """Another manifest for an artifact, consistent in itself."""
    key = f"artifacts/{artifact.stage}/{artifact.fingerprint}/manifest.json"
    workspace.root.write(key, signed(json.loads(workspace.root.read(key)) | changes))


def made_by(workspace, make, stage="stage", counts=None, lineage=None):
    """A legitimate artifact with any content: what somebody who can write to the bucket can always make."""

    def run(directory):
        make(directory)
        return counts or {}

    return run_once(workspace, Stage(stage, "1"), config={}, inputs={}, make=run, lineage=lineage).artifact


def test_a_stage_that_leads_into_the_dag_folder_writes_nothing(workspace, tmp_path):
    (tmp_path / "dags").mkdir()
    made = made_by(workspace, lambda d: (d / "evil.py").write_text("raise SystemExit"))
    digest = canonical_hash({name: entry.sha256 for name, entry in made.files.items()})
    for stage in ("../dags", "../../dags", str(tmp_path / "dags"), "stage/../../dags"):
        forge(workspace, made, stage=stage)
        key = f"shop/artifacts/{stage}/{made.fingerprint}/{digest[:16]}/evil.py"
        workspace.root.client.put_object(Bucket=BUCKET, Key=key, Body=b"raise SystemExit")
        with pytest.raises(DataError, match=r"manifest.json: not a manifest \(stage.*Delete the folder"):
            workspace.artifacts.path(workspace.artifacts.open(made.uri))
    assert list((tmp_path / "dags").iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "other"},
        {"fingerprint": "0" * 32},
        {"files": {"a": {"size_bytes": -1, "sha256": HASH}}},
        {"files": {"a": {"size_bytes": 1.5, "sha256": HASH}}},
        {"files": {"a": {"size_bytes": "1", "sha256": HASH}}},
        {"files": {"a": {"size_bytes": 1, "sha256": HASH.upper()}}},
        {"files": {"a": {"size_bytes": 1, "sha256": HASH + "\n"}}},
        {"files": {"a": {"size_bytes": 1, "sha256": HASH, "more": 1}}},
        {"files": []},
        {"counts": []},
        {"timings": {"seconds": "1"}},
        {"lineage": None},
        {"more": 1},
        *({"files": {name: {"size_bytes": 1, "sha256": HASH}}} for name in TRAVERSALS),
    ],
)
def test_a_manifest_is_that_of_what_was_asked_for(change):
    raw = signed({**MANIFEST, **change})
    with pytest.raises(DataError, match="not a manifest") as raised:
        read_manifest(raw, "stage", "1" * 32, "here")
    assert next(iter(change)) in str(raised.value)


def test_a_manifest_names_all_of_its_problems():
    raw = signed({**MANIFEST, "stage": 1, "timings": {"seconds": "x", "peak": None}, "lineage": None, "more": 1})
    with pytest.raises(DataError) as raised:
        read_manifest(raw, "stage", "1" * 32, "here")
    for what in ("stage: ", "timings['seconds']: ", "timings['peak']: ", "lineage: ", "'more' is no field"):
        assert what in str(raised.value)


def test_any_flipped_bit_of_a_manifest_is_found(workspace):
    made = made_by(workspace, lambda d: (d / "a").write_text("a"), counts={"n": 7, "share": 0.25})
    key = f"artifacts/stage/{made.fingerprint}/manifest.json"
    raw = workspace.root.read(key)
    for at in range(0, len(raw), 7):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << at % 7
        workspace.root.write(key, bytes(flipped))
        try:
            found = workspace.artifacts.open(made.uri)
        except DataError:
            continue
        assert found == made  # blanks between the fields


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "stage/" + "0" * 32,
        "s3://other/shop/artifacts/stage/" + "0" * 32,
        "s3://reviews/shop/models/stage/" + "0" * 32,
        "s3://reviews/shop/artifacts/../stage/" + "0" * 32,
        "s3://reviews/shop/artifacts/../" + "0" * 32,
        "s3://reviews/shop/artifacts/stage/..",
        "s3://reviews/shop/artifacts/stage/" + "0" * 32 + "\n",
        "s3://reviews/shop/artifacts/stage/" + "0" * 32 + "/x",
        None,
        ["s3://reviews/shop/artifacts/stage"],
    ],
)
def test_a_handle_leads_to_an_artifact_of_this_root(workspace, uri):
    with pytest.raises(DataError, match=r"not an artifact of this deployment; expected s3://reviews/shop/artifacts/"):
        workspace.artifacts.open(uri)


@pytest.mark.parametrize(
    ("stage", "counts"),
    [
        ("evaluate", {"models": ["../../x"]}),
        ("fit_popularity", {"names": ["/etc/x"]}),
        ("choose_model", {"chosen": {"choice": {"family": "../x"}}}),
        ("fit_neighbours", {"items": -1}),
        ("fit_rivals", {"start": 7}),
        ("resolve_snapshot", {"snapshot": "../2018"}),
        ("encode_interactions", {"split_s": 2**40}),
        ("parse_reviews", {}),
        ("recall_gate", {"decision": "PROMOTE!"}),
        ("tune_trial", {}),
    ],
)
def test_counts_that_others_rely_on_are_checked(workspace, stage, counts):
    with pytest.raises(DataError, match=f"its counts .*{next(iter(counts), '')}"):
        made_by(workspace, lambda d: None, stage, counts)


def test_counts_that_are_not_finite_are_never_written(workspace):
    with pytest.raises(DataError, match="not finite"):
        made_by(workspace, lambda d: None, counts={"loss": float("nan")})
    assert list(workspace.root.walk("artifacts/")) == []


KEYS = ["2018-09-01/../x.json", "2018-09-01//x.json", "/etc/passwd", "../x.json", "2018-09-01/a\nb.json", "x/y.json"]
KEYS += ["2018-09-01/" + "n" * 300 + ".json", "2018-9-1/x.json", "2018-09-01/", "2018-09-01/a/.."]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_a_snapshot_stays_within_it(key):
    row = {"key": key, "size_bytes": 1, "etag": '"x"', "modified_at": None}
    assert key_problem(key)
    with pytest.raises(DataError, match="not a listing of a snapshot"):
        Snapshot.from_body({"name": "2018-09-01", "objects": [row]}, "here")
    with pytest.raises(DataError, match="its lineage"):
        located([row], "here")


@pytest.mark.parametrize("change", [{"size_bytes": -1}, {"etag": ""}, {"etag": 1}, {"more": 1}, {"key": None}])
def test_an_object_of_a_snapshot_is_whole(change):
    row = {"key": "2018-09-01/x.json", "size_bytes": 1, "etag": '"x"'} | change
    with pytest.raises(DataError, match="not a listing"):
        Snapshot.from_body({"name": "2018-09-01", "objects": [row]}, "here")


@pytest.mark.parametrize("name", ["a\tb.json", "n" * 256 + ".json", "a//b.json"])
def test_a_snapshot_with_a_strange_key_is_refused_by_name(workspace, s3, name):
    s3.put_object(Bucket=BUCKET, Key=f"shop/snapshots/2018-06-25/{name}", Body=b"{}")
    with pytest.raises(DataError, match=r"snapshots/2018-06-25/: the key .* Rename the objects"):
        resolve(workspace.snapshots, None, JULY)


def test_two_files_never_share_a_place_on_disk(tmp_path):
    rows = [
        ObjectInfo("2018-09-01/a/x.json", 1, '"e"'),
        ObjectInfo("2018-09-01/b/x.json", 1, '"e"'),
        ObjectInfo("2018-09-01/a-x.json", 1, '"e"'),
        ObjectInfo("2018-09-01/a/x.json", 2, '"e"'),
        ObjectInfo("2018-09-01/a/x.json", 1, '"../../e"'),
        ObjectInfo("2018-09-01/A/X.json", 1, '"e"'),
    ]
    places = {local_path(tmp_path, row) for row in rows}
    assert len({str(place).lower() for place in places}) == len(rows)
    assert all(place.is_relative_to(tmp_path / "reviews") and ".." not in place.parts for place in places)
    again = ObjectInfo("2018-10-01/a/x.json", 1, '"e"')  # the same file in the next snapshot
    assert local_path(tmp_path, again) == local_path(tmp_path, rows[0])


@pytest.mark.parametrize(
    ("files", "lineage"),
    [
        ([], {"objects": [{"key": "2018-06-25/a.json", "size_bytes": 1, "etag": "x"}]}),
        ([{"name": "../a.json", "size_bytes": 1, "sha256": HASH}], {"objects": []}),
        ({}, {"objects": []}),
        ([1], {"objects": []}),
        ([], {"objects": None}),
        ([], {}),
        ([], {"objects": [{"key": "/etc/passwd", "size_bytes": 1, "etag": "x"}]}),
    ],
)
def test_a_download_that_contradicts_itself_is_refused(workspace, files, lineage):
    text = json.dumps(files)
    made = made_by(workspace, lambda d: (d / "files.json").write_text(text), "download_reviews", {}, lineage)
    with pytest.raises(DataError):
        prepare.parse_reviews(workspace, made, ParseConfig())


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"[]", b'{"name": 1}', b'{"name": "2018-06-25", "objects": 3}'])
def test_a_listing_that_is_none_is_refused(workspace, body):
    counts = {"snapshot": "2018-06-25", "files": 1, "bytes": 1}
    made = made_by(workspace, lambda d: (d / "snapshot.json").write_bytes(body), "resolve_snapshot", counts)
    with pytest.raises(DataError, match=r"snapshot.json: "):
        prepare.download_reviews(workspace, made)


@pytest.fixture(scope="module")
def fold(tmp_path_factory):
    """A small fold on disk."""
    from include.recommender.config import EncodeConfig
    from include.recommender.data.encoding import encode
    from include.recommender.data.parsing import parse_files
    from include.recommender.data.reviews import Reviews

    folder = tmp_path_factory.mktemp("fold")
    (folder / "reviews.jsonl.gz").write_bytes(worlds.packed(worlds.reviews(n_users=60)))
    (folder / "parsed").mkdir()
    counts = parse_files([("reviews.jsonl.gz", folder / "reviews.jsonl.gz")], folder / "parsed", ParseConfig())
    (folder / "fold").mkdir()
    encode(Reviews.load(folder / "parsed"), counts.last_s + 1, EncodeConfig()).save(folder / "fold")
    return folder / "fold"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("indices", lambda a: np.where(np.arange(len(a)) == 3, 2**31 - 1, a).astype(np.int32)),
        ("indices", lambda a: np.where(np.arange(len(a)) == 3, -5, a).astype(np.int32)),
        ("indices", lambda a: a.astype(np.int64)),
        ("indices", lambda a: a[:-1]),
        ("indices", lambda a: a.reshape(1, -1)),
        ("indptr", lambda a: a[::-1].copy()),
        ("indptr", lambda a: a + 1),
        ("indptr", lambda a: a[:-1]),
        ("confidence", lambda a: np.full_like(a, np.nan)),
        ("verified", lambda a: np.full_like(a, 100)),
        ("holdout_rows", lambda a: a + 1_000_000),
        ("holdout_items", lambda a: a - 1_000_000),
        ("holdout_indptr", lambda a: a * 2),
        ("user_codes", lambda a: -a - 1),
    ],
)
def test_a_fold_whose_arrays_lead_out_of_memory_is_refused(fold, tmp_path, name, change):
    for path in fold.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    EncodedFold.load(tmp_path)
    np.save(tmp_path / f"{name}.npy", change(np.load(fold / f"{name}.npy")))
    with pytest.raises(DataError, match=r"\.npy: .*Delete the artifact"):
        EncodedFold.load(tmp_path)


def npy(header):
    """A .npy file with any header."""
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not numpy's",
        b"PK\x03\x04",
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000, 64)}"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}"),
        npy("{'descr': '<f4'"),
        npy("__import__('os').abort()"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4)}"),
    ],
)
def test_factors_that_are_no_array_are_refused(workspace, raw):
    def make(directory):
        (directory / "item_factors.npy").write_bytes(raw)

    made = made_by(workspace, make, "train_als", TRAINED)
    with pytest.raises(DataError, match=r"item_factors.npy: "):
        fit.load_factors(workspace, made)


def parquet(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PAR1xxxxPAR1",
        parquet(pa.table({"other": ["a"]})),
        parquet(pa.table({"id": [1, 2]})),
        parquet(pa.table({"id": ["a", None]})),
    ],
)
def test_ids_that_are_no_table_are_refused(tmp_path, raw):
    (tmp_path / "users.parquet").write_bytes(raw)
    with pytest.raises(DataError, match=r"users.parquet: .*Delete the artifact"):
        load_vocabulary(tmp_path / "users.parquet")


def test_a_verdict_and_a_judgement_are_typed(workspace):
    counts = {"decision": "HOLD", "forced": False, "headline": "HOLD"}
    body = json.dumps({**msgspec.to_builtins(verdict()), "decision": "PROMOTE ", "forced": 1, "top_k": 0})
    gated = made_by(workspace, lambda d: (d / "verdict.json").write_text(body), "recall_gate", counts)
    with pytest.raises(DataError, match=r"verdict.json: not a verdict \(decision.*top_k.*forced"):
        judge.read_verdict(workspace, gated)


def test_a_file_that_an_artifact_lacks_is_named(workspace):
    choice = {"family": "blend", "knn_weight": 0.5, "knn_similarity": "bm25", "factors": 8, "half_life_days": 120.0}
    choice |= {"prior_power": 0.5, "prior_half_life_days": 30.0}
    chosen = {"choice": choice, "why": "", "judged_users": 1, "listed_users": 1, "tried": []}
    for stage, counts, read in (
        ("train_als", TRAINED, fit.load_factors),
        ("fit_popularity", {"names": ["popularity_all_time"]}, fit.load_popularity),
        ("choose_model", {"chosen": chosen}, fit.load_prior),
        ("fit_neighbours", {"items": 3, "neighbours": 2, "rival": False}, fit.load_neighbours),
        ("fit_rivals", TRAINED, fit.load_factors),
    ):
        made = made_by(workspace, lambda d: None, stage, counts)
        with pytest.raises(DataError, match="there is no such file"):
            read(workspace, made)


def test_a_model_id_of_a_pointer_decides_no_path(workspace):
    from include.recommender.stages.warm import bundle_part

    for name in ("../../evil", "/etc", "..", ""):
        with pytest.raises(DataError, match=r"models/.*plain"):
            bundle_part(workspace, name, "judged")


def test_a_whole_run_still_reads_what_it_wrote(workspace):
    candidate = Candidate(workspace, JULY)
    for artifact in (candidate.parsed, candidate.evaluated, *candidate.fitted.artifacts, candidate.rivals):
        assert workspace.artifacts.open(artifact.uri) == artifact
    with pytest.raises(NotFound):
        workspace.artifacts.open(workspace.root.uri("artifacts/parse_reviews/" + "0" * 32))


@pytest.mark.parametrize("name", TRAVERSALS)
def test_names_that_are_not_plain(name):
    assert name_problem(name)
    with pytest.raises(ValueError, match="expected a plain file name"):
        plain_name(name)


@pytest.mark.parametrize("name", ["a", "a b.json", "é" * (MAX_BYTES // 2), "n" * MAX_BYTES, "part-0.jsonl.gz", "[a]"])
def test_names_that_are_plain(name):
    assert plain_name(name) == name


@pytest.mark.parametrize("name", [None, 1, b"a", "\ud800", "a\u2028b", "a\x85b", "é" * 128])
def test_what_is_no_name(name):
    assert name_problem(name)
