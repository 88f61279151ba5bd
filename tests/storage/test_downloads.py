"""A download is the object of the listing, byte by byte, or an error and no file (docs/adr/0013-download.md)."""

import hashlib
import os
import signal
import subprocess
import sys

import pytest
from botocore.exceptions import ConnectTimeoutError

from include.recommender.errors import DataError, RecommenderError, TransientError
from include.recommender.storage import objects

from ..conftest import ROOT

PART = 1 << 16


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(objects, "PART_BYTES", PART)


def body(size, start=0):
    return bytes((start + n) % 251 for n in range(size))


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 3 * PART])
def test_whole_bytes_and_their_digest(workspace, tmp_path, size):
    workspace.root.write("a", body(size))
    digest = workspace.root.download(workspace.root.head("a"), tmp_path / "out" / "a")
    assert (tmp_path / "out" / "a").read_bytes() == body(size)
    assert digest == hashlib.sha256(body(size)).hexdigest()


@pytest.mark.parametrize("size", [100, 3 * PART])
def test_an_object_overwritten_after_the_listing_is_refused(workspace, tmp_path, size):
    """Also a small one of the same size, of which one request would do."""
    workspace.root.write("a", body(size))
    listed = workspace.root.head("a")
    workspace.root.write("a", body(size, start=1))
    with pytest.raises(DataError, match=r"s3://reviews/shop/a: the object changed"):
        workspace.root.download(listed, tmp_path / "out" / "a")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("size", [PART + 1, 3 * PART])
def test_a_store_that_ignores_ranges_is_refused(workspace, tmp_path, size):
    """A proxy that answers with the whole object, as HTTP allows."""
    workspace.root.write("a", body(size))
    client = workspace.root.client

    def without_range(params, **_):
        params["headers"].pop("Range")

    client.meta.events.register("before-call.s3.GetObject", without_range)
    with pytest.raises(RecommenderError, match="s3://reviews/shop/a"):
        workspace.root.download(workspace.root.head("a"), tmp_path / "out" / "a")
    assert list((tmp_path / "out").iterdir()) == []


class Requests:
    """The ranges that were asked for; from the given one on, the store cannot be reached."""

    def __init__(self, client, good=10**9):
        self.asked, self.good = [], good
        client.meta.events.register("before-send.s3.GetObject", self)

    def __call__(self, request, **_):
        if len(self.asked) >= self.good:
            raise ConnectTimeoutError(endpoint_url=request.url)
        self.asked.append(request.headers["Range"])


def interrupted(workspace, path, good, **options):
    """A download of which only some requests are answered; the ranges of these."""
    requests = Requests(workspace.root.client, good)
    with pytest.raises(TransientError):
        workspace.root.download(workspace.root.head("a"), path, resumed=True, **options)
    requests.good = 10**9
    return requests


@pytest.fixture
def one_by_one(monkeypatch):
    monkeypatch.setattr(objects, "READERS", 1)


def test_a_download_goes_on_where_it_broke_off(workspace, tmp_path, one_by_one):
    workspace.root.write("a", body(5 * PART + 7))
    requests = interrupted(workspace, tmp_path / "a", 3)
    assert not (tmp_path / "a").exists()
    digest = workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert len(requests.asked) == len(set(requests.asked)) == 6
    assert (tmp_path / "a").read_bytes() == body(5 * PART + 7)
    assert digest == hashlib.sha256(body(5 * PART + 7)).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("where", [0, PART - 1, 2 * PART + 5, 3 * PART + 2, 3 * PART + 6])
def test_what_was_damaged_meanwhile_is_fetched_again(workspace, tmp_path, one_by_one, where):
    """Also the records behind the bytes: of a range that is not there they must not say that it is."""
    workspace.root.write("a", body(3 * PART))
    requests = interrupted(workspace, tmp_path / "a", 2)
    (part,) = tmp_path.iterdir()
    with part.open("r+b") as file:
        file.seek(where)
        file.write(bytes([(part.read_bytes()[where : where + 1] or b"\0")[0] ^ 1]))
    workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert (tmp_path / "a").read_bytes() == body(3 * PART)
    assert len(requests.asked) == (4 if where != 2 * PART + 5 else 3)


def test_nothing_of_another_version_is_used(workspace, tmp_path, one_by_one):
    """The same key and size; and what is left of the old version goes."""
    workspace.root.write("a", body(3 * PART))
    requests = interrupted(workspace, tmp_path / "a", 2)
    workspace.root.write("a", body(3 * PART, start=1))
    workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert (tmp_path / "a").read_bytes() == body(3 * PART, start=1)
    assert len(requests.asked) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_object_that_changed_leaves_nothing_to_resume(workspace, tmp_path, one_by_one):
    workspace.root.write("a", body(3 * PART))
    listed = workspace.root.head("a")
    interrupted(workspace, tmp_path / "a", 2)
    workspace.root.write("a", body(3 * PART, start=1))
    with pytest.raises(DataError, match="the object changed"):
        workspace.root.download(listed, tmp_path / "a", resumed=True)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_digest_leaves_nothing_to_resume(workspace, tmp_path):
    workspace.root.write("a", body(3 * PART))
    with pytest.raises(DataError, match="SHA-256"):
        workspace.root.download(workspace.root.head("a"), tmp_path / "a", sha256="0" * 64, resumed=True)
    assert list(tmp_path.iterdir()) == []


def test_two_that_fetch_the_same_do_not_meet(workspace, tmp_path):
    """The second finds the first one's file locked, and fetches into one of its own."""
    workspace.root.write("a", body(3 * PART))
    info = workspace.root.head("a")
    inner = []

    def also(done):
        if done == PART:
            inner.append(workspace.root.download(info, tmp_path / "a", resumed=True))
            assert (tmp_path / "a").read_bytes() == body(3 * PART)

    outer = workspace.root.download(info, tmp_path / "a", resumed=True, progress=also)
    assert inner == [outer]
    assert (tmp_path / "a").read_bytes() == body(3 * PART)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


KILLED = """
import os, sys
from pathlib import Path
import boto3
from include.recommender.storage import objects
objects.PART_BYTES, objects.READERS = int(sys.argv[3]), 1
keys = dict(region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="k")
client = boto3.client("s3", endpoint_url=sys.argv[1], **keys)
store = objects.ObjectStore(client, "reviews", "shop")
def progress(done):
    if done >= 3 * objects.PART_BYTES:
        os.kill(os.getpid(), 9)
store.download(store.head("a"), Path(sys.argv[2]), resumed=True, progress=progress)
"""


def test_a_killed_process_is_followed_by_one_that_goes_on(workspace, s3_endpoint, tmp_path, one_by_one):
    workspace.root.write("a", body(6 * PART))
    command = [sys.executable, "-c", KILLED, s3_endpoint, str(tmp_path / "a"), str(PART)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "a").exists()
    requests = Requests(workspace.root.client)
    workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert len(requests.asked) <= 3
    assert (tmp_path / "a").read_bytes() == body(6 * PART)
