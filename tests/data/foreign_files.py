"""Files that hold no review lines: id, contents, and what the error says of each. Made here, by whatever makes them."""

# ruff: noqa: E501 (tables)

import gzip
import io
import json
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet

OLD = {"reviewerID": "U1", "asin": "0001", "overall": 5.0, "unixReviewTime": 1_400_000_000}
REVIEWS = [{**OLD, "reviewerID": f"U{n}", "reviewText": "good, really"} for n in range(40)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in REVIEWS)
METADATA_2014 = {"asin": "0001", "title": "t", "price": 3.5, "categories": [["Toys"]]}
METADATA_2018 = {"category": ["Toys"], "title": "t", "also_buy": [], "asin": "0001"}
METADATA_2023 = {"main_category": "Toys", "title": "t", "average_rating": 4.5, "parent_asin": "0001"}
QUESTION = {"questionType": "yes/no", "asin": "0001", "unixTime": 1_400_000_000, "question": "?", "answer": "no"}
QUESTIONS = {"asin": "0001", "questions": [{"questionText": "?", "answers": []}]}


def _json_lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _python_lines(*rows: object) -> bytes:
    return b"".join(repr(row).encode() + b"\n" for row in rows)


def _zip(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, LINES)
    return out.getvalue()


def _tar(style: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as file:
        about = tarfile.TarInfo("Toys.json")
        about.size = len(LINES)
        file.addfile(about, io.BytesIO(LINES))
    return out.getvalue()


def _old_tar() -> bytes:
    """A header of before POSIX: no magic, only its checksum."""
    data = bytearray(_tar(tarfile.USTAR_FORMAT))
    data[257:265] = bytes(8)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _table(write: object) -> bytes:
    out = pa.BufferOutputStream()
    write(pa.Table.from_pylist(REVIEWS), out)
    return out.getvalue().to_pybytes()


def _arrow() -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pylist(REVIEWS)
    with pa.ipc.new_file(out, table.schema) as file:
        file.write_table(table)
    return out.getvalue()


def _compressed(codec: str) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, codec) as file:
        file.write(LINES)
    return out.getvalue().to_pybytes()


def _numpy(save: object) -> bytes:
    out = io.BytesIO()
    save(out, np.arange(9))
    return out.getvalue()


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as base:
        base.execute("create table reviews (asin text)")
        return base.serialize()


# Each of them is also tried packed with gzip, but where that would be something else.
FOREIGN = {
    "format-archive": ([_zip("Toys.json"), _tar(tarfile.PAX_FORMAT), _tar(tarfile.GNU_FORMAT), _old_tar(), b"7z\xbc\xaf\x27\x1c\0\4", b"Rar!\x1a\x07\x01\0"], "is a (zip|tar|7z|rar) archive.*Unpack it"),
    "format-empty-archive": ([_zip("x")[-22:]], "is an empty zip archive"),
    "format-office": ([_zip("[Content_Types].xml"), _zip("xl/workbook.xml"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)], "is an (old )?Excel or Office file"),
    "format-compressed": ([_compressed("zstd"), _compressed("bz2"), _compressed("lz4"), lzma.compress(LINES), lzma.compress(LINES, lzma.FORMAT_ALONE), zlib.compress(LINES), b"\xff\x06\0\0sNaPpY" + bytes(9), b"\x1f\x9d\x90"], r"is (Zstandard|bzip2|LZ4|xz|lzma|zlib|Snappy|data of compress).*or pack it with gzip"),
    "format-columnar": ([_table(pa.parquet.write_table), _table(pa.orc.write_table), _arrow(), b"Obj\x01\x04\x16avro.schema"], "is an? (Parquet|ORC|Arrow|Avro) file.*one JSON object a line"),
    "format-python-binary": ([pickle.dumps(REVIEWS), pickle.dumps(REVIEWS, 2), _numpy(np.save), _numpy(np.savez), b"\x89HDF\r\n\x1a\n" + bytes(99)], "is an? (Python pickle|NumPy array|archive of NumPy arrays|HDF5 file)"),
    "format-database": ([_sqlite(), b"\x50\0\0\0\x07_id\0" + bytes(70), b"PGDMP\1\x0e"], "is an? (SQLite database|BSON dump|PostgreSQL dump)"),
    "format-document": ([b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\x7fELF\2\1", b"\0\5\x16\7\0\2\0\0Mac OS X"], "is a (PDF document|picture|program|shadow file of macOS)"),
    "format-encrypted": ([b"Salted__12345678" + bytes(range(99)), b"-----BEGIN PGP MESSAGE-----\n\nabc\n"], "is encrypted data. Decrypt it"),
    "format-unknown-binary": ([bytes(range(32)) * 40, b"\x0a\x05\x08\x01\x12\x01A\n" * 90], "is binary data of an unknown kind"),
    "format-zero-bytes": ([bytes(5000)], "is zero bytes.*again"),
    "format-pointer": ([b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n", b"/annex/objects/SHA256E-s1--2.json\n"], "is a (Git LFS|git-annex) pointer.*Fetch that"),
    "format-link-as-text": ([b"../../blobs/3f1a9c", b"/data/blobs/3f1a9c\n"], "contains only the path .*blobs/3f1a9c: it is a link"),
    "format-wide-text": ([LINES.decode().encode(code) for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")] + ["U1,B1,5.0,1400000000\r\n".encode("utf-16-le")], "is UTF-(16|32) text.*iconv"),
    "format-python": ([_python_lines(*REVIEWS), b"\xef\xbb\xbf \n" + _python_lines(OLD), b"{u'reviewerID': u'U1', u'asin': u'1'}\n"], "holds Python dict literals, not JSON, as older files.*literal_eval"),
    "format-python-metadata": ([_python_lines(METADATA_2014)], r"holds Python dict literals, not JSON \(of product metadata, not of reviews\)"),
    "format-json-seq": ([b"".join(b"\x1e" + line + b"\n" for line in LINES.splitlines())], "is a JSON text sequence .RFC 7464.*tr -d"),
    "format-old-text": ([b"product/productId: B1\nreview/userId: U1\n"], "is in the old text layout"),
    "format-metadata": ([_json_lines(METADATA_2014), _json_lines(METADATA_2018), _json_lines(METADATA_2023, METADATA_2023)], "not one usable review.*It holds product metadata, not reviews"),
    "format-questions": ([_json_lines(QUESTION), _json_lines(QUESTIONS)], "not one usable review.*It holds questions and answers, not reviews"),
    "format-glued": ([LINES.replace(b"\n", b""), LINES.replace(b"\n", b" ")], "not one usable review.*without line ends between them"),
    "format-commas": ([LINES.replace(b"}\n", b"},\n")], "not one usable review.*lines end in commas"),
    "format-one-object": ([json.dumps({"reviews": REVIEWS}).encode(), json.dumps({"a b": REVIEWS, "status": 200}).encode() + b"\n"], r"not one usable review.*records in \"(reviews|a b)\".*jq -c '\.\[\"(reviews|a b)\"\]\[\]'"),
    "format-by-column": ([json.dumps({"asin": {"0": "B1"}, "reviewerID": {"0": "U1"}}).encode()], "not one usable review.*table by columns"),
    "format-error-answer": ([b'{"message": "Not Found", "status": 404}', b'{"error": {"code": 403}}\n'], "not one usable review.*server's error message"),
    "format-separated": ([b"U1;B1;5.0;1400000000\n" * 3, b"1::2::5::1400000000\n", b"U1|B1|5|1400000000\n", b'"U1","B1","5"\n'], "not one usable review.*looks like CSV.*python -m local.ratings"),
}  # fmt: skip
# As gzip data these would be something else, or are themselves.
NOT_PACKED = {"format-unknown-binary"}
PACKED = {
    name: ([gzip.compress(data) for data in contents], message)
    for name, (contents, message) in FOREIGN.items()
    if name not in NOT_PACKED
}
