"""The user's own files in the cache of the tasks: no copy through S3, and never other bytes than the snapshot's."""

import gzip
import os
from datetime import UTC, datetime

import pytest

from include.recommender.config import ParseConfig
from include.recommender.errors import TransientError
from include.recommender.stages import prepare
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.objects import ObjectStore
from local import linked, uploads

from .. import worlds

LINES = worlds.lines(worlds.reviews(n_users=20))


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "BUCKET", "reviews")
    for number, name in enumerate(("a.json.gz", "b.json.gz")):
        (tmp_path / name).write_bytes(gzip.compress(LINES + b"\n" * number))
    return tmp_path


class Laptop:
    """The files put and linked, and the workspace of the tasks."""

    def __init__(self, s3, folder):
        given = uploads.find_reviews(str(folder / "*.gz"))
        source = uploads.put_reviews(s3, given)
        root = ObjectStore.at(s3, source.root)
        self.workspace = Workspace(root, root.under("snapshots"), folder / "cache")
        linked.link_reviews(s3, source, given, self.workspace.cache)
        self.gets = []
        s3.meta.events.register("before-call.s3.GetObject", self._get)

    def _get(self, params, **_):
        if params["headers"].get("Range"):
            self.gets.append(params["url_path"].rpartition("/")[2])

    def download(self):
        resolved = prepare.resolve_snapshot(self.workspace, None, datetime.now(UTC)).artifact
        return prepare.download_reviews(self.workspace, resolved).artifact

    def cached(self):
        return sorted(self.workspace.cache.glob("reviews/*/reviews"), key=lambda path: path.stat().st_size)


def test_linked_files_are_not_fetched_and_take_no_space(s3, files):
    laptop = Laptop(s3, files)
    parsed = prepare.parse_reviews(laptop.workspace, laptop.download(), ParseConfig()).artifact
    assert parsed.counts["files"] == 2
    assert laptop.gets == []
    for name, path in zip(("a.json.gz", "b.json.gz"), laptop.cached(), strict=True):
        assert path.read_bytes() == (files / name).read_bytes()
        # A clone has an inode of its own, and shares its blocks.
        assert os.path.samefile(path, files / name) or path.stat().st_ino != (files / name).stat().st_ino


def test_a_file_that_is_changed_later_is_fetched_as_it_was(s3, files):
    laptop = Laptop(s3, files)
    before = (files / "a.json.gz").read_bytes()
    with (files / "a.json.gz").open("ab") as file:
        file.write(gzip.compress(b"\n"))
    downloaded = laptop.download()
    is_linked = laptop.gets == ["a.json.gz"]
    assert laptop.cached()[0].read_bytes() == before
    # And once more, between the two tasks.
    with (files / "b.json.gz").open("ab") as file:
        file.write(b"garbage")
    parsed = prepare.parse_reviews(laptop.workspace, downloaded, ParseConfig()).artifact
    assert parsed.counts["files"] == 2
    assert laptop.gets == (["a.json.gz", "b.json.gz"] if is_linked else [])
    # The user's file is still the user's.
    assert (files / "b.json.gz").read_bytes().endswith(b"garbage")


def test_a_file_that_changes_while_it_is_parsed_makes_no_artifact(s3, files, monkeypatch):
    laptop = Laptop(s3, files)
    downloaded, parse = laptop.download(), prepare.parse_files

    def parse_and_change(given, directory, config):
        counts = parse(given, directory, config)
        with given[0][1].open("ab") as file:
            file.write(gzip.compress(b"\n"))
        return counts

    monkeypatch.setattr(prepare, "parse_files", parse_and_change)
    with pytest.raises(TransientError, match=r"a\.json\.gz changed while it was parsed"):
        prepare.parse_reviews(laptop.workspace, downloaded, ParseConfig())
    monkeypatch.setattr(prepare, "parse_files", parse)
    assert prepare.parse_reviews(laptop.workspace, downloaded, ParseConfig()).artifact.counts["files"] == 2
    assert laptop.gets == ["a.json.gz"]


def test_files_of_another_file_system_are_left_to_the_download(s3, files, monkeypatch):
    def elsewhere(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(linked.os, "link", elsewhere)
    monkeypatch.setattr(linked, "_clone", elsewhere)
    laptop = Laptop(s3, files)
    laptop.download()
    assert laptop.gets == ["a.json.gz", "b.json.gz"]
    laptop.gets.clear()
    prepare.parse_reviews(laptop.workspace, laptop.download(), ParseConfig())
    assert laptop.gets == []
