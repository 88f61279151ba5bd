"""Uploads that may create and not overwrite, in one request and in parts."""

import pytest

from include.recommender.errors import PreconditionFailed
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET

PARTS = 9 << 20  # above 8 MB a file is uploaded in parts


@pytest.fixture
def objects(s3):
    return ObjectStore(s3, BUCKET, "shop")


@pytest.mark.parametrize("size_bytes", [10, PARTS])
def test_an_object_is_created_once(objects, tmp_path, size_bytes):
    path = tmp_path / "file"
    path.write_bytes(b"a" * size_bytes)
    objects.upload(path, "models/a", {"note": "first"}, create_only=True)
    first = objects.head("models/a")
    path.write_bytes(b"b" * size_bytes)
    with pytest.raises(PreconditionFailed, match="models/a"):
        objects.upload(path, "models/a", create_only=True)
    assert objects.head("models/a") == first
    assert objects.metadata("models/a") == {"note": "first"}


def test_the_condition_is_of_one_upload(objects, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a")
    objects.upload(path, "a", create_only=True)
    path.write_bytes(b"b")
    objects.upload(path, "a")
    objects.write("a", b"c")
    assert objects.read("a") == b"c"
