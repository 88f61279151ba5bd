"""S3 URIs are taken literally, and what names no bucket or no usable prefix is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.recommender.errors import ConfigError
from include.recommender.storage.uris import split_uri


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket/a/b/", ("bucket", "a/b")),
        ("s3://bucket/team#1/x", ("bucket", "team#1/x")),
        ("s3://bucket/what?/x", ("bucket", "what?/x")),
        ("s3://bucket/a%20b", ("bucket", "a%20b")),
        ("s3://bucket/a b/ü/日本", ("bucket", "a b/ü/日本")),
        ("s3://bucket/a:b@c;d&e=f+g", ("bucket", "a:b@c;d&e=f+g")),
        ("s3://my.bucket-1/" + "k" * 1024, ("my.bucket-1", "k" * 1024)),
    ],
)
def test_a_uri_is_taken_literally(uri, parts):
    assert split_uri(uri) == parts


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3a://bucket/x", "write s3://"),
        ("s3n://bucket/x", "write s3://"),
        ("S3://bucket/x", "write s3://"),
        ("https://bucket.s3.eu-west-1.amazonaws.com/x", "endpoint_url"),
        ("HTTP://localhost:9000/bucket", "endpoint_url"),
        ("arn:aws:s3:::bucket/x", "ARN"),
        ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/shop", "access points"),
        ("s3://key:secret@bucket/x", "keys do not belong"),
        ("s3://", "the bucket is ''"),
        ("s3://ab/x", "3 to 63"),
        ("s3://" + "b" * 64, "3 to 63"),
        ("s3://Bucket/x", "lower-case"),
        ("s3://my_bucket/x", "lower-case"),
        ("s3://-bucket/x", "first and last"),
        ("s3://bucket./x", "first and last"),
        ("s3://a..b/x", "dots"),
        ("s3://192.168.0.1/x", "address"),
        ("s3://bucket:9000/x", "lower-case"),
        ("s3://bucket#1/x", "lower-case"),
        ("s3://bucket?x=1", "lower-case"),
        ("s3://xn--bucket/x", "reserves"),
        ("s3://logs--use1-az4--x-s3/x", "directory bucket"),
        ("s3://bucket//x", "//"),
        ("s3://bucket/a//b", "//"),
        ("s3://bucket/a///", "//"),
        ("s3://bucket/../x", r"'\.\.'"),
        ("s3://bucket/a/./b", r"'\.'"),
        ("s3://bucket/a /b", "blank"),
        ("s3://bucket/ a", "blank"),
        ("s3://bucket/x ", "blank"),
        (" s3://bucket/x", "blank"),
        ("s3://bucket/x\n", "line end"),
        ("s3://bucket/a\nb", "control"),
        ("s3://bucket/a\x1b[31m", "control"),
        ("s3://bucket/a\x00b", "control"),
        ("s3://bucket/\udcff", "UTF-8"),
        ("s3://bucket/" + "ü" * 513, "1026 bytes"),
        ("file:///tmp/x", "expected s3://bucket"),
        ("bucket/prefix", "expected s3://bucket"),
        ("", "expected s3://bucket"),
    ],
)
def test_what_names_no_place_is_refused_with_the_reason(uri, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        split_uri(uri)
    message = str(caught.value)
    assert "expected s3://bucket or s3://bucket/prefix" in message
    assert "secret" not in message
    assert not any(character in message for character in "\n\x1b\x00")


PART = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/"), min_size=1, max_size=20
)


@given(st.lists(PART.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=8))
def test_a_prefix_of_any_printable_parts_comes_back_unchanged(parts):
    prefix = "/".join(parts)
    assert split_uri(f"s3://bucket/{prefix}") == ("bucket", prefix)
