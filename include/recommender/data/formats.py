"""Files that are no review lines, known by their first bytes, so that an error can say what they are."""

from __future__ import annotations

_MAGIC = (
    (b"\x1f\x8b", "gzip data packed twice", "Unpack it once."),
    (b"PK\x03\x04", "a zip archive", "Unpack it, and pack the files in it with gzip if they should be small."),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", "Unpack it, or pack it with gzip."),
    (b"\xfd7zXZ\x00", "xz data", "Unpack it, or pack it with gzip."),
    (b"BZh91AY&SY", "bzip2 data", "Unpack it, or pack it with gzip."),
    (b"PAR1", "a Parquet file", "Write it as one JSON object a line."),
    # UTF-32 first: its mark begins like that of UTF-16.
    (b"\xff\xfe\x00\x00", "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8."),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8."),
    (b"\xff\xfe", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
    (b"{\x00", "UTF-16 text", "Convert it: iconv -f UTF-16LE -t UTF-8."),
    (b"\x00{", "UTF-16 text", "Convert it: iconv -f UTF-16BE -t UTF-8."),
)


def foreign(head: bytes) -> str | None:
    """What a file is that cannot hold review lines, and how to mend it; None if it may hold some.

    `head` is the first kilobytes of the unpacked file.
    """
    for magic, what, mend in _MAGIC:
        if head.startswith(magic):
            return f"is {what}. {mend}"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return "is one JSON array. Write one object a line: jq -c '.[]'."
    if text.startswith(b"<"):
        return "is HTML or XML, perhaps an error page. Download it again."
    return None


def likeness(head: bytes) -> str:
    """What a file looks like that held no usable review at all."""
    first, _, rest = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    if first.strip() == b"{" or (first.startswith(b"{") and rest[:1] in (b" ", b"\t")):
        return "It looks like JSON spread over several lines: write one object a line, jq -c '.'."
    if b"}\r{" in first:
        return "Its lines end in a lone carriage return: convert them, tr '\\r' '\\n'."
    if not first.startswith(b"{") and first.count(b",") + first.count(b"\t") >= 2:
        return "It looks like CSV: bring the review files in JSON, or make some of ratings: python -m local.ratings."
    return "Its first line begins " + repr(first[:80].decode("utf-8", "replace")) + "."
