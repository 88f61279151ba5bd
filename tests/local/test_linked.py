"""The user's own files in the cache of the tasks: no copy through S3, and never other bytes than the snapshot's."""

import gzip
import os
import random
from datetime import UTC, datetime

import pytest

from include.recommender.config import ParseConfig
from include.recommender.data import parsing
from include.recommender.errors import ConfigError, DataError, TransientError
from include.recommender.stages import prepare
from include.recommender.stages.workspace import Workspace
from include.recommender.storage import digests
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


@pytest.mark.slow
def test_linked_files_are_not_fetched_and_take_no_space(s3, files):
    laptop = Laptop(s3, files)
    parsed = prepare.parse_reviews(laptop.workspace, laptop.download(), ParseConfig()).artifact
    assert parsed.counts["files"] == 2
    assert laptop.gets == []
    for name, path in zip(("a.json.gz", "b.json.gz"), laptop.cached(), strict=True):
        assert path.read_bytes() == (files / name).read_bytes()


def no_clones(*_):
    raise OSError(95, "Operation not supported")


@pytest.fixture
def hard_links(monkeypatch):
    monkeypatch.setattr(linked, "_clone", no_clones)


@pytest.fixture
def no_links(monkeypatch, hard_links):
    def elsewhere(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(linked.os, "link", elsewhere)


def test_without_clones_the_files_are_hard_links(s3, files, hard_links):
    laptop = Laptop(s3, files)
    laptop.download()
    assert laptop.gets == []
    for name, path in zip(("a.json.gz", "b.json.gz"), laptop.cached(), strict=True):
        assert os.path.samefile(path, files / name)


def test_a_clone_is_preferred_to_a_hard_link(s3, files, monkeypatch):
    """A copy stands for the clone where the file system has none."""
    monkeypatch.setattr(linked, "_clone", lambda source, target: target.write_bytes(source.read_bytes()))
    laptop = Laptop(s3, files)
    laptop.download()
    assert laptop.gets == []
    assert [path.stat().st_nlink for path in laptop.cached()] == [1, 1]


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


def noise(n_reviews):
    """Reviews whose texts do not pack."""
    texts = random.Random(1)
    return worlds.lines(
        [row | {"reviewText": texts.randbytes(2_000).hex()} for row in worlds.reviews(n_users=n_reviews)]
    )


@pytest.mark.parametrize("spoil", [lambda path: os.truncate(path, 1 << 20), lambda path: path.write_bytes(b"x" * 100)])
def test_a_file_that_is_spoiled_in_the_middle_of_the_parse_is_tried_again(s3, files, monkeypatch, hard_links, spoil):
    """The parse sees damage that is not the snapshot's: no permanent error."""
    (files / "a.json.gz").write_bytes(gzip.compress(noise(300), 1))
    laptop = Laptop(s3, files)
    downloaded, advance, seen = laptop.download(), parsing._advance, []
    size = (files / "a.json.gz").stat().st_size

    def spoil_first(progress, before, position):
        if not seen:
            seen.append(position)
            spoil(files / "a.json.gz")
        advance(progress, before, position)

    monkeypatch.setattr(parsing, "_advance", spoil_first)
    with pytest.raises(TransientError, match=r"a\.json\.gz changed while it was parsed") as raised:
        prepare.parse_reviews(laptop.workspace, downloaded, ParseConfig())
    assert isinstance(raised.value.__context__, DataError)
    assert 0 < seen[0] < size
    assert not list(laptop.workspace.root.walk("artifacts/parse_reviews/refused"))
    assert prepare.parse_reviews(laptop.workspace, downloaded, ParseConfig()).artifact.counts["files"] == 2
    assert laptop.gets == ["a.json.gz"]


def test_a_file_that_goes_away_while_it_is_parsed_is_tried_again(s3, files, monkeypatch):
    laptop = Laptop(s3, files)
    downloaded, parse = laptop.download(), prepare.parse_files

    def lose_and_parse(given, directory, config):
        given[0][1].unlink()
        return parse(given, directory, config)

    monkeypatch.setattr(prepare, "parse_files", lose_and_parse)
    with pytest.raises(TransientError, match=r"a\.json\.gz changed while it was parsed"):
        prepare.parse_reviews(laptop.workspace, downloaded, ParseConfig())


@pytest.fixture
def hashed(monkeypatch):
    """The files whose bytes a stage asks the SHA-256 of."""
    paths, sha256 = [], digests.file_sha256

    def counting(path):
        paths.append(path)
        return sha256(path)

    monkeypatch.setattr(prepare, "file_sha256", counting)
    return paths


def test_files_of_our_own_are_hashed_once_for_a_parse(s3, files, no_links, hashed):
    laptop = Laptop(s3, files)
    prepare.parse_reviews(laptop.workspace, laptop.download(), ParseConfig())
    assert sorted(hashed) == sorted(laptop.cached())


def test_hard_links_are_hashed_before_and_after_a_parse(s3, files, hard_links, hashed):
    laptop = Laptop(s3, files)
    prepare.parse_reviews(laptop.workspace, laptop.download(), ParseConfig())
    assert sorted(hashed) == sorted(2 * laptop.cached())


def test_a_file_of_our_own_that_changes_is_noticed_all_the_same(s3, files, no_links, monkeypatch):
    laptop = Laptop(s3, files)
    downloaded, parse = laptop.download(), prepare.parse_files

    def parse_and_change(given, directory, config):
        counts = parse(given, directory, config)
        data = given[0][1].read_bytes()
        given[0][1].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        return counts

    monkeypatch.setattr(prepare, "parse_files", parse_and_change)
    with pytest.raises(TransientError, match=r"a\.json\.gz changed while it was parsed"):
        prepare.parse_reviews(laptop.workspace, downloaded, ParseConfig())


def test_space_is_needed_for_what_is_not_there_yet(s3, files, no_links, monkeypatch):
    """Files that are there need none, a download to resume its rest, and the parsed rows four times the files."""
    laptop = Laptop(s3, files)
    total = sum(path.stat().st_size for path in files.glob("*.gz"))
    usage = prepare.shutil.disk_usage(files)

    def check(free):
        monkeypatch.setattr(prepare.shutil, "disk_usage", lambda _: usage._replace(free=free))
        objects = [row for row in laptop.workspace.snapshots.walk() if row.key.endswith(".json.gz")]
        prepare._check_space(laptop.workspace, objects)

    check(5 * total)
    with pytest.raises(ConfigError, match=r"more: 0\.\d GB for downloads, with those of other tasks"):
        check(5 * total - 1)
    monkeypatch.undo()
    laptop.download()
    check(4 * total)
    with pytest.raises(ConfigError, match=r"more: 0\.0 GB for downloads"):
        check(4 * total - 1)


def test_files_of_another_file_system_are_left_to_the_download(s3, files, no_links):
    laptop = Laptop(s3, files)
    laptop.download()
    assert laptop.gets == ["a.json.gz", "b.json.gz"]
    laptop.gets.clear()
    prepare.parse_reviews(laptop.workspace, laptop.download(), ParseConfig())
    assert laptop.gets == []
