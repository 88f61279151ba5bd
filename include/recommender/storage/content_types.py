"""The Content-Type of an object, by the ending of its key: without one a browser downloads a report."""

from __future__ import annotations

DEFAULT = "application/octet-stream"
BY_ENDING = {
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
    ".npy": "application/x-npy",
}


def content_type(key: str) -> str:
    """Return the Content-Type of a key; packed data gets the type of its packing, so that no proxy unpacks it."""
    name = key.rpartition("/")[2].lower()
    ending = name[name.rindex(".") :] if "." in name else ""
    return BY_ENDING.get(ending, DEFAULT)
