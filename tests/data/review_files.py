"""Review lines and files for the tests of parsing."""

import json
from pathlib import Path

from include.recommender.config import ParseConfig
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import ITEMS, USERS, Reviews, load_vocabulary
from include.recommender.storage.documents import plain

OLD = {"reviewerID": "U1", "asin": "0001", "overall": 5.0, "unixReviewTime": 1_400_000_000}
MID = {**OLD, "verified": True}
NEW = {"user_id": "U2", "parent_asin": "B2", "rating": 4.0, "timestamp": 1_600_000_000_123, "verified_purchase": False}


def lines(*rows: object) -> bytes:
    """Rows as review lines; bytes are taken as they are."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def write(directory: Path, contents: dict[str, bytes]) -> list[tuple[str, Path]]:
    """Files as `parse_files` takes them."""
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    return [(name, directory / name) for name in contents]


def parse(directory: Path, contents: dict[str, bytes], **settings: float):
    """The counts of a parse."""
    return plain(parse_files(write(directory, contents), directory, ParseConfig(**settings)))


def interactions(directory: Path) -> list[tuple[str, str, int, float, int]]:
    """What `parse_files` wrote, decoded: (user, item, time, rating, verified)."""
    users, items = (load_vocabulary(directory / name).ids.to_pylist() for name in (USERS, ITEMS))
    rows = Reviews.load(directory)
    columns = (rows.user.tolist(), rows.item.tolist(), rows.time.tolist(), rows.rating.tolist(), rows.verified.tolist())
    return [(users[u], items[i], *rest) for u, i, *rest in zip(*columns, strict=True)]
