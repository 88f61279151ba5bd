"""A download is the object of the listing, byte by byte, or an error and no file (docs/adr/0013-download.md)."""

import hashlib

import pytest

from include.recommender.errors import DataError, RecommenderError
from include.recommender.storage import objects

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
