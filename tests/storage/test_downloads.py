"""A download is the object of the listing, byte by byte, or an error and no file (docs/adr/0013-download.md)."""

import errno
import fcntl
import hashlib
import logging
import os
import signal
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from include.recommender.errors import ConfigError, DataError, RecommenderError, TransientError
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

    def __init__(self, client, good=10**9, fault=None):
        self.asked, self.good, self.fault = [], good, fault
        client.meta.events.register("before-send.s3.GetObject", self)

    def __call__(self, request, **_):
        if len(self.asked) >= self.good:
            raise self.fault or ConnectTimeoutError(endpoint_url=request.url)
        self.asked.append(request.headers["Range"])


def interrupted(workspace, path, good, fault=None, error=TransientError, **options):
    """A download of which only some requests are answered; the ranges of these."""
    requests = Requests(workspace.root.client, good, fault)
    with pytest.raises(error):
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


def refusal(code):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")


@pytest.mark.parametrize(
    "fault",
    [*map(refusal, ("ExpiredToken", "AccessDenied", "InvalidAccessKeyId", "NoSuchBucket")), NoCredentialsError()],
    ids=str,
)
def test_a_download_goes_on_after_what_a_person_had_to_fix(workspace, tmp_path, one_by_one, fault):
    """Session tokens of an hour are shorter than a long download."""
    workspace.root.write("a", body(5 * PART))
    requests = interrupted(workspace, tmp_path / "a", 3, fault, ConfigError)
    workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert len(requests.asked) == len(set(requests.asked)) == 5
    assert (tmp_path / "a").read_bytes() == body(5 * PART)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_meanwhile_gets_its_space_back(workspace, tmp_path, one_by_one, monkeypatch, number):
    """Only where space cannot be reserved; a part that is kept would keep the disk full for all that runs there."""
    workspace.root.write("a", body(5 * PART))
    monkeypatch.delattr(os, "posix_fallocate")
    write = os.pwrite

    def full(handle, data, offset):
        if offset >= 2 * PART and len(data) > 8:
            raise OSError(number, os.strerror(number))
        return write(handle, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ConfigError, match=r"was needed for the download of s3://reviews/shop/a"):
        workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_reserves_no_space_takes_downloads(workspace, tmp_path, monkeypatch, number):
    workspace.root.write("a", body(3 * PART))

    def unable(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", unable)
    for resumed in (False, True):
        workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=resumed)
        assert (tmp_path / "a").read_bytes() == body(3 * PART)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no space")
def test_the_space_is_taken_before_the_first_byte_is_fetched(workspace, tmp_path, one_by_one):
    workspace.root.write("a", body(5 * PART))
    info = workspace.root.head("a")
    assert workspace.root.missing_bytes(info, tmp_path / "a") == 5 * PART
    interrupted(workspace, tmp_path / "a", 0)
    (part,) = tmp_path.iterdir()
    assert part.stat().st_blocks * 512 >= 5 * PART
    assert workspace.root.missing_bytes(info, tmp_path / "a") == 0


def test_a_store_that_ignores_if_match_does_not_mix_two_versions(workspace, tmp_path, one_by_one):
    """Ranges of one file may be days apart."""
    workspace.root.write("a", body(3 * PART))
    listed, client = workspace.root.head("a"), workspace.root.client
    interrupted(workspace, tmp_path / "a", 2)
    workspace.root.write("a", body(3 * PART, start=1))

    def without_condition(params, **_):
        params["headers"].pop("If-Match")

    client.meta.events.register("before-call.s3.GetObject", without_condition)
    found = workspace.root.head("a").etag
    with pytest.raises(DataError) as raised:
        workspace.root.download(listed, tmp_path / "a", resumed=True)
    for said in ("s3://reviews/shop/a", found, listed.etag, "ignores If-Match", "resolve_snapshot again"):
        assert said in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("written", ['W/"{}"', "{}"])
def test_the_same_etag_may_be_written_differently(workspace, tmp_path, written):
    workspace.root.write("a", body(3 * PART))

    def rewrite(response_dict, **_):
        response_dict["headers"]["ETag"] = written.format(response_dict["headers"]["ETag"].strip('"'))

    seen, events = [], workspace.root.client.meta.events
    events.register("before-parse.s3.GetObject", rewrite)
    events.register("after-call.s3.GetObject", lambda parsed, **_: seen.append(parsed["ETag"]))
    info = workspace.root.head("a")
    workspace.root.download(info, tmp_path / "a")
    assert set(seen) == {written.format(info.etag.strip('"'))}
    assert (tmp_path / "a").read_bytes() == body(3 * PART)


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


class LockedLate:
    """`flock`, before whose first call something else happens, as in another process."""

    def __init__(self, monkeypatch, before):
        self.lock, self.before = fcntl.flock, before
        monkeypatch.setattr(fcntl, "flock", self)

    def __call__(self, handle, how):
        before, self.before = self.before, lambda: None
        before()
        self.lock(handle, how)


def test_what_another_process_has_just_finished_is_not_fetched_again(workspace, tmp_path, monkeypatch):
    """It opened the file before the other finished, and looked at its lock afterwards."""
    workspace.root.write("a", body(3 * PART))
    info, requests = workspace.root.head("a"), Requests(workspace.root.client)
    LockedLate(monkeypatch, lambda: workspace.root.download(info, tmp_path / "a", resumed=True))
    done = []
    digest = workspace.root.download(info, tmp_path / "a", resumed=True, progress=done.append)
    assert len(requests.asked) == 3
    assert digest == hashlib.sha256(body(3 * PART)).hexdigest()
    assert done[-1] == 3 * PART
    assert (tmp_path / "a").read_bytes() == body(3 * PART)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_finished_file_is_used_while_the_other_still_has_its_lock(workspace, tmp_path, monkeypatch):
    workspace.root.write("a", body(3 * PART))
    info, requests = workspace.root.head("a"), Requests(workspace.root.client)
    held = []

    def finish():
        workspace.root.download(info, tmp_path / "a", resumed=True)
        held.append(os.open(tmp_path / "a", os.O_RDONLY))
        fcntl.flock(held[0], fcntl.LOCK_EX)

    LockedLate(monkeypatch, finish)
    workspace.root.download(info, tmp_path / "a", resumed=True)
    os.close(held[0])
    assert len(requests.asked) == 3


def test_a_file_that_another_process_has_just_deleted_is_made_again(workspace, tmp_path, monkeypatch, one_by_one):
    """And resumed, as any other."""
    workspace.root.write("a", body(3 * PART))
    LockedLate(monkeypatch, lambda: [path.unlink() for path in tmp_path.iterdir()])
    requests = interrupted(workspace, tmp_path / "a", 2)
    workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert len(requests.asked) == 3


def test_a_file_system_without_locks_is_named_and_keeps_nothing(workspace, tmp_path, monkeypatch, caplog, one_by_one):
    workspace.root.write("a", body(3 * PART))

    def unable(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unable)
    with caplog.at_level(logging.WARNING):
        interrupted(workspace, tmp_path / "a", 2)
    assert f"{tmp_path}: the file system has no locks" in caplog.text
    assert list(tmp_path.iterdir()) == []
    assert workspace.root.missing_bytes(workspace.root.head("a"), tmp_path / "a") == 3 * PART
    workspace.root.download(workspace.root.head("a"), tmp_path / "a", resumed=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_second_download_of_the_same_needs_its_own_space(workspace, tmp_path, monkeypatch):
    """The first has reserved its space; without that, its rest is still to be taken as well."""
    workspace.root.write("a", body(3 * PART))
    info, missing = workspace.root.head("a"), []

    def look(done):
        if done == PART:
            missing.append(workspace.root.missing_bytes(info, tmp_path / "a"))

    for reserving in (True, False):
        if not reserving:
            monkeypatch.delattr(os, "posix_fallocate")
            monkeypatch.setattr(objects, "READERS", 1)
        workspace.root.download(info, tmp_path / "a", resumed=True, progress=look)
        (tmp_path / "a").unlink()
    assert missing[0] == 3 * PART
    assert 3 * PART <= missing[1] <= 5 * PART


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
