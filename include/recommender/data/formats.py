"""Recognise files that hold no review lines by their first bytes, so that an error can name the format and the fix."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection

import msgspec

from ..plain_text import shown
from .file_names import CONVERTER

BOM = b"\xef\xbb\xbf"
HEAD_BYTES = 64 << 10
EXPECTED = "Expected review lines: one JSON object a line, in UTF-8."

_REPACK = "Unpack it, or pack it with gzip."
_UNPACK = "Unpack it, and pack the files in it with gzip if they should be small."
_EXPORT = "Write it as one JSON object a line."
_SOURCE = "Bring the file itself."
_MAGIC = (
    (b"\x1f\x8b", "gzip data packed twice", "Unpack it once."),
    (b"PK\x05\x06", "an empty zip archive", "Download it again."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", _REPACK),
    (b"\xfd7zXZ\x00", "xz data", _REPACK),
    (b"\x5d\x00\x00", "lzma data", _REPACK),
    (b"\x04\x22\x4d\x18", "LZ4 data", _REPACK),
    (b"\x02\x21\x4c\x18", "LZ4 data", _REPACK),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy data", _REPACK),
    (b"\x1f\x9d", "data of compress (.Z)", _REPACK),
    (b"LZIP\x01", "lzip data", _REPACK),
    (b"\x89LZO", "lzop data", _REPACK),
    (b"PAR1", "a Parquet file", _EXPORT),
    (b"PARE", "an encrypted Parquet file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"ARROW1", "an Arrow file", _EXPORT),
    (b"FEA1", "a Feather file", _EXPORT),
    (b"SEQ\x06", "a Hadoop sequence file", _EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file", _EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"PGDMP", "a PostgreSQL dump", _EXPORT),
    (b"\x93NUMPY", "a NumPy array", _EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _EXPORT),
    (b"\x80\x02", "a Python pickle", _EXPORT),
    (b"\x80\x03", "a Python pickle", _EXPORT),
    (b"\x80\x04", "a Python pickle", _EXPORT),
    (b"\x80\x05", "a Python pickle", _EXPORT),
    (b"\xac\xed\x00\x05", "a serialized Java object", _EXPORT),
    (b"%PDF", "a PDF document", "Bring the data that it describes."),
    (b"\x89PNG", "a picture", _SOURCE),
    (b"\xff\xd8\xff", "a picture", _SOURCE),
    (b"\x7fELF", "a program", _SOURCE),
    (b"\x00\x05\x16\x07", "a shadow file of macOS (AppleDouble)", "Remove it: it has no data."),
    (b"Salted__", "encrypted data", "Decrypt it."),
    (b"-----BEGIN PGP", "encrypted data", "Decrypt it."),
    (b"age-encryption.org/", "encrypted data", "Decrypt it."),
    (b"version https://git-lfs", "a Git LFS pointer, not the file that it points to", "Fetch that: git lfs pull."),
    (b"/annex/objects/", "a git-annex pointer, not the file that it points to", "Fetch that: git annex get."),
    # UTF-32 first: its mark begins like that of UTF-16.
    (b"\xff\xfe\x00\x00", "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8."),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8."),
    (b"\xff\xfe", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
)
_PATTERNS = (
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), "bzip2 data", _REPACK),
    (re.compile(rb"(?s)[\x50-\x5f]\x2a\x4d\x18"), "Zstandard or LZ4 data", _REPACK),
    (re.compile(rb"\x78[\x01\x5e\x9c\xda]"), "zlib data", _REPACK),
    (re.compile(rb"(?s)ORC.{0,60}\x00"), "an ORC file", _EXPORT),
    (re.compile(rb"RDX[23]\n"), "R data", _EXPORT),
    (re.compile(rb"(?s).{4}[\x01-\x13]_id\x00"), "a BSON dump of MongoDB", "Export it as JSON: bsondump."),
)
# Text whose ASCII characters take two or four bytes each, without a mark. The longer ones first.
_WIDE = (
    (re.compile(rb"(?:[\t\r\n -~]\x00\x00\x00)+"), "UTF-32", "UTF-32LE"),
    (re.compile(rb"(?:\x00\x00\x00[\t\r\n -~])+"), "UTF-32", "UTF-32BE"),
    (re.compile(rb"(?:[\t\r\n -~]\x00)+"), "UTF-16", "UTF-16LE"),
    (re.compile(rb"(?:\x00[\t\r\n -~])+"), "UTF-16", "UTF-16BE"),
)
WIDE_BYTES = 8
_PYTHON = re.compile(rb"(?:OrderedDict\(|defaultdict\(|\{\s*[ub]?'(?:[^'\\\n]|\\.)*'\s*:)")
_SNAP = re.compile(rb"(?:product/productId|review/userId): ")
_LINK = re.compile(rb"(?:\.\.?)?/[^\x00-\x1f{}\"]{1,1000}\r?\n?\Z")
# More control characters than this share are no text.
_BINARY_SHARE = 0.1
_TEXT_CONTROLS = b"\t\n\r\f\x1b\x1e"

_FROM_PYTHON = (
    "Convert it, without running what it holds: python3 -c 'import ast, json, sys; "
    "[print(json.dumps(ast.literal_eval(line))) for line in sys.stdin]' < old > new."
)


def foreign(head: bytes) -> str | None:
    """Return the format of a file that cannot hold review lines, and the fix; None if it may hold some.

    `head` is the first kilobytes of the unpacked file.
    """
    found = _binary(head[:4096])
    if found is None:
        return _foreign_text(head.removeprefix(BOM).lstrip())
    what, advice = found
    return f"is {what}. {advice}"


def _binary(head: bytes) -> tuple[str, str] | None:
    if head.startswith((b"PK\x03\x04", b"PK\x07\x08")):
        return _zip(head)
    for magic, what, advice in _MAGIC:
        if head.startswith(magic):
            return what, advice
    for pattern, code, name in _WIDE:
        found = pattern.match(head)
        if found and found.end() >= WIDE_BYTES:
            return f"{code} text", f"Convert it: iconv -f {name} -t UTF-8."
    if _is_tar(head):
        return "a tar archive", _UNPACK
    for pattern, what, advice in _PATTERNS:
        if pattern.match(head):
            return what, advice
    if head and not head.strip(b"\x00"):
        return "zero bytes, as after an interrupted copy", "Copy or download it again."
    return None


def _zip(head: bytes) -> tuple[str, str]:
    if b"[Content_Types].xml" in head or b"xl/" in head or b"mimetypeapplication/vnd" in head:
        return "an Excel or Office file", _EXPORT
    if b".npy" in head[:200]:
        return "an archive of NumPy arrays", _EXPORT
    return "a zip archive", _UNPACK


def _is_tar(head: bytes) -> bool:
    """By its magic, or by the checksum of its first header, which older ones have alone."""
    if head[257:262] == b"ustar":
        return True
    field = head[148:156].strip(b" \x00")
    if len(head) < 512 or not field or field.strip(b"01234567"):
        return False
    return int(field, 8) == sum(head[:148]) + 8 * ord(" ") + sum(head[156:512])


def _foreign_text(text: bytes) -> str | None:
    if text.startswith(b"["):
        return "is one JSON array. Write one object a line: jq -c '.[]'."
    if text.startswith(b"<"):
        return "is HTML or XML, perhaps an error page. Download it again."
    if text.startswith(b"\x1e"):
        return "is a JSON text sequence (RFC 7464: a record separator before each object). Remove those: tr -d '\\036'."
    if _PYTHON.match(text):
        return f"holds Python dict literals, not JSON{_older(text)}. {_FROM_PYTHON}"
    if _SNAP.match(text):
        return "is in the old text layout (`product/productId: ...`). Bring the JSON files of 2014 or later."
    link = _LINK.match(text)
    if link:
        target = shown(link[0].decode("utf-8", "replace").strip()[:200])
        return f"contains only the path {target}: it is a link that was copied as text. Bring the file itself."
    return None


def _older(text: bytes) -> str:
    kind = _kind(set(re.findall(r"'(\w+)'\s*:", text.partition(b"\n")[0].decode("utf-8", "replace"))))
    return f" (of {kind}, not of reviews)" if kind else ", as older files of 2014 do"


_USER, _ITEM = frozenset({"reviewerID", "user_id"}), frozenset({"asin", "parent_asin"})
_OF_METADATA = frozenset(
    {"title", "price", "imUrl", "related", "salesRank", "categories", "category", "brand", "also_buy", "also_view"}
    | {"main_cat", "main_category", "features", "feature", "description", "store", "details", "average_rating"}
    | {"rating_number", "images", "videos", "bought_together", "rank"}
)
_OF_QUESTIONS = frozenset({"question", "questions", "questionType", "questionText", "answer", "answers", "answerType"})
_OF_ERRORS = frozenset({"error", "errors", "message", "Message", "detail", "code", "Code", "status", "statusCode"})


def _kind(fields: Collection[str]) -> str | None:
    """Return the kind of records that have these fields and no user."""
    fields = set(fields)
    if fields & _USER:
        return None
    if fields & _OF_QUESTIONS:
        return "questions and answers"
    return "product metadata" if fields & _ITEM and fields & _OF_METADATA else None


def likeness(head: bytes) -> str:
    """Return what a file without a usable review looks like; `head` is its beginning."""
    text = head.removeprefix(BOM).lstrip()
    first = text.partition(b"\n")[0].strip()
    for clue in _CLUES:
        clue_text = clue(text, first)
        if clue_text:
            return clue_text
    return "Its first line begins " + repr(first[:80].decode("utf-8", "replace")) + "."


def _unknown_binary(text: bytes, first: bytes) -> str | None:
    n_controls = sum(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in text[:4096])
    if text.startswith(b"{") or n_controls <= _BINARY_SHARE * len(text[:4096]):
        return None
    begin = text[:8].hex(" ")
    return f"It is binary data of an unknown kind, which begins {begin}: write it as one JSON object a line."


def _carriage_returns(text: bytes, first: bytes) -> str | None:
    if b"}\r{" in first:
        return "Its lines end in a lone carriage return: convert them, tr '\\r' '\\n'."
    return None


def _spread(text: bytes, first: bytes) -> str | None:
    rest = text.partition(b"\n")[2]
    if first == b"{" or (first.startswith(b"{") and not first.endswith(b"}") and rest[:1] in (b" ", b"\t")):
        return "It looks like JSON spread over several lines: write one object a line, jq -c '.'."
    return None


def _glued(text: bytes, first: bytes) -> str | None:
    if re.search(rb"\}\s*\{\s*\"", first):
        return "It looks like JSON objects without line ends between them: write one object a line, jq -c '.'."
    return None


def _commas(text: bytes, first: bytes) -> str | None:
    if first.startswith(b"{") and first.endswith(b"},"):
        return "Its lines end in commas, as those of a JSON array do: remove them, sed 's/},$/}/'."
    return None


def _other_records(text: bytes, first: bytes) -> str | None:
    kind = _kind(_object(first))
    return f"It holds {kind}, not reviews: leave it out of the snapshot, and bring the reviews." if kind else None


def _one_object(text: bytes, first: bytes) -> str | None:
    """One object with all records in it; `first` may be its beginning only."""
    found = re.match(rb'\{\s*("(?:[^"\\]|\\.){0,200}")\s*:\s*([\[{])', first)
    if found is None or len(text) - len(first) > 2:
        return None
    name = shown(json.dumps(json.loads(found[1]), ensure_ascii=False)) if _is_json(found[1]) else '"..."'
    if found[2] == b"{":
        return "It is one JSON object, perhaps a table by columns: write one object a line, one for each review."
    return f"It is one JSON object with its records in {name}: write one object a line, jq -c '.[{name}][]'."


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _error_answer(text: bytes, first: bytes) -> str | None:
    fields = _object(first)
    records = any(bytes(value).startswith(b"[{") for name, value in fields.items() if name not in _OF_ERRORS)
    if fields.keys() & _OF_ERRORS and not fields.keys() & (_USER | _ITEM) and not records:
        begin = repr(first[:200].decode("utf-8", "replace"))
        return f"It looks like a server's error message, {begin}: download it again."
    return None


def _separated(text: bytes, first: bytes) -> str | None:
    if first.startswith(b"{") or max(first.count(each) for each in (b",", b"\t", b";", b"|", b"::")) < 2:
        return None
    return f"It looks like CSV: bring the review files in JSON, or make some of ratings: {CONVERTER} (docs/data.md)."


_CLUES: tuple[Callable[[bytes, bytes], str | None], ...] = (
    _unknown_binary,
    _carriage_returns,
    _spread,
    _glued,
    _commas,
    _other_records,
    _error_answer,
    _one_object,
    _separated,
)


def _object(line: bytes) -> dict[str, msgspec.Raw]:
    """The fields of a line that is one JSON object; none of any other."""
    try:
        return msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
