"""The user's files as a snapshot: all of them, once, and never a part that a run takes for the whole."""

import gzip
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.recommender.data import snapshots
from include.recommender.data.file_names import UNFINISHED
from include.recommender.errors import DataError
from include.recommender.storage.objects import ObjectStore
from local import uploads

from .. import worlds

LINES = worlds.lines(worlds.reviews(n_users=2))


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uploads, "BUCKET", "reviews")
    for number, name in enumerate(("2-x.json", "x.json", "other/x.json", "other/y.json.gz")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        data = LINES + b"\n" * number
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return tmp_path


class Broke(Exception):
    """The end of an upload, at a moment that a test has chosen."""


class Wire:
    """The requests that a client sends: small pages, and a break at a chosen one."""

    def __init__(self, s3):
        self.sent: list[tuple[str, str]] = []
        self.breaks_at = -1
        events = s3.meta.events
        events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 2})
        events.register("before-call.s3", self._send)

    def _send(self, model, params, **_):
        self.sent.append((model.name, params["url_path"].rpartition("/snapshots/")[2]))
        if len(self.changes) == self.breaks_at:
            self.breaks_at = -1
            raise Broke

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Those that change something."""
        return [(name, key) for name, key in self.sent if name in ("PutObject", "DeleteObjects")]


def put(s3, wanted: str) -> uploads.Source:
    return uploads.put_reviews(s3, uploads.find_reviews(wanted))


def resolved(s3, source: uploads.Source) -> dict[str, bytes]:
    """What a run would read."""
    store = ObjectStore.at(s3, f"{source.root}/snapshots")
    found = snapshots.resolve(store, None, datetime.now(UTC))
    return {row.key.partition("/")[2]: store.read(row.key) for row in found.objects}


THREE = "2-x.json x.json other/x.json"


def test_files_given_are_files_put_and_files_that_a_run_reads(files, s3, capsys):
    source = put(s3, THREE)
    contents = {(files / name).read_bytes() for name in THREE.split()}
    assert set(resolved(s3, source).values()) == contents
    assert "3 given: 3 put, 0 were there" in capsys.readouterr().out
    assert put(s3, "other/x.json 2-x.json x.json") == source
    assert "3 of 3 given are there, with the same bytes" in capsys.readouterr().out


def test_the_same_bytes_are_put_once_however_many_files_they_are(files, s3, capsys):
    wire = Wire(s3)
    source = put(s3, ".")
    assert len(resolved(s3, source)) == 4
    wire.sent.clear()
    assert put(s3, ".") == source
    assert wire.changes == []
    assert {name for name, _ in wire.sent} == {"ListObjectsV2", "GetObject"}


def test_only_what_is_new_is_put_and_what_went_is_removed_after_it(files, s3):
    wire = Wire(s3)
    source = put(s3, ".")
    wire.sent.clear()
    day = source.newest
    (files / "x.json").write_bytes(LINES * 2)
    (files / "2-x.json").unlink()
    (files / "z.json").write_bytes(LINES * 3)
    # The same root: what was given is called the same.
    uploads_root = source.root.removeprefix("s3://reviews/")
    found = uploads.find_reviews(".")
    root = ObjectStore(s3, "reviews", uploads_root)
    held = uploads._held(root, root.under("snapshots"), day)
    wanted = {name: uploads._look(file) for name, file in uploads.object_names(found).items()}
    uploads._put(root, day, wanted, held)
    keys = [key for _, key in wire.changes]
    assert keys[0] == f"{day}/{UNFINISHED}"
    assert sorted(keys[1:3]) == [f"{day}/x.json", f"{day}/z.json"]
    assert [name for name, _ in wire.changes[3:]] == ["DeleteObjects", "PutObject", "DeleteObjects"]
    assert sorted(resolved(s3, source)) == ["other/x.json", "other/y.json.gz", "x.json", "z.json"]


@pytest.mark.parametrize("breaks_at", range(2, 8))
def test_an_upload_that_broke_off_is_never_read_and_is_completed_by_the_next(files, s3, breaks_at):
    """Wherever it breaks: after the mark, between files, before the index, before the mark is taken away."""
    wire = Wire(s3)
    wire.breaks_at = breaks_at
    with pytest.raises(Broke):
        put(s3, ".")
    (prefix,) = {row["Key"].partition("/")[0] for row in s3.list_objects_v2(Bucket="reviews")["Contents"]}
    broken = ObjectStore(s3, "reviews", f"{prefix}/snapshots")
    with pytest.raises(DataError, match=rf"holds {UNFINISHED}, so its upload goes on, or was interrupted"):
        snapshots.resolve(broken, None, datetime.now(UTC))
    assert not snapshots.has_landed(broken, datetime.now(UTC).date().isoformat())
    source = put(s3, ".")
    assert len(resolved(s3, source)) == 4


def test_replacing_a_snapshot_that_breaks_off_is_not_read_either(files, s3):
    wire = Wire(s3)
    source = put(s3, ".")
    for name in ("x.json", "2-x.json"):
        (files / name).write_bytes(LINES * 2)
    wire.sent.clear()
    wire.breaks_at = 3
    with pytest.raises(Broke):
        put(s3, ".")
    with pytest.raises(DataError, match=UNFINISHED):
        resolved(s3, source)
    assert put(s3, ".") == source
    assert resolved(s3, source)["x.json"] == LINES * 2


def test_what_an_upload_of_another_day_left_is_removed_once_the_new_one_is_there(files, s3):
    source = put(s3, ".")
    store = ObjectStore.at(s3, f"{source.root}/snapshots")
    for name in ("x.json", UNFINISHED):
        store.write(f"2018-01-01/{name}", LINES)
    store.delete([row.key for row in store.walk(f"{source.newest}/")])
    assert put(s3, ".") == source
    assert store.folders() == [source.newest]


def test_an_object_that_somebody_replaced_is_put_again(files, s3):
    source = put(s3, ".")
    store = ObjectStore.at(s3, f"{source.root}/snapshots")
    store.write(f"{source.newest}/x.json", b"other")
    put(s3, ".")
    assert resolved(s3, source)["x.json"] == (files / "x.json").read_bytes()


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"snapshot": "2018-01-01", "files": {"x.json": 3}}'])
def test_a_damaged_index_only_costs_an_upload(files, s3, damaged):
    source = put(s3, ".")
    ObjectStore.at(s3, source.root).write(uploads.INDEX, damaged)
    assert put(s3, ".") == source
    assert len(resolved(s3, source)) == 4


def test_other_files_get_another_root(files, s3):
    assert put(s3, "x.json").root != put(s3, "2-x.json").root


def test_identical_files_are_warned_of_and_both_read(files, s3, capsys):
    (files / "copy.json").write_bytes((files / "x.json").read_bytes())
    source = put(s3, ".")
    assert len(resolved(s3, source)) == 5
    assert "WARNING: the same bytes in 2 files, all of them read: copy.json, x.json" in capsys.readouterr().out


def test_a_file_that_goes_away_is_named(files, s3):
    found = uploads.find_reviews("x.json")
    Path("x.json").unlink()
    with pytest.raises(DataError, match=r"x\.json: cannot be read: No such file"):
        uploads.put_reviews(s3, found)


def test_names_as_long_as_a_disk_allows_and_odd_ones_go_through(files, s3, workspace):
    """Up to the parse: put, listed, downloaded, parsed and named."""
    from include.recommender.config import ParseConfig
    from include.recommender.stages import prepare

    longest, odd = "é" * 120 + "-long.json.gz", "a\x1b[31m'\"[1]*? ~%41+&#.json"
    assert len(longest.encode()) == 253
    (files / longest).write_bytes(gzip.compress(LINES))
    (files / odd).write_bytes(LINES * 2)
    source = put(s3, ".")
    root = ObjectStore.at(s3, source.root)
    here = replace(workspace, root=root, snapshots=root.under("snapshots"))
    listed = prepare.resolve_snapshot(here, None, datetime.now(UTC)).artifact
    downloaded = prepare.download_reviews(here, listed).artifact
    parsed = prepare.parse_reviews(here, downloaded, ParseConfig()).artifact
    assert (listed.counts["files"], downloaded.counts["files"], parsed.counts["files"]) == (6, 6, 6)
