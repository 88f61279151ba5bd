"""Back the metadata database up: `python3 -m deploy.backup` dumps it to RECOMMENDER_ROOT/backups/, each day by a timer.

`--fetch FILE` downloads a dump, to restore it (docs/aws.md). The bucket's lifecycle removes old ones. It needs
boto3 alone, and the running containers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from .watch import Root

MAGIC = b"PGDMP"  # how a dump in the custom format begins
DUMP = "docker compose exec -T postgres pg_dump --username airflow --format custom airflow"


def dump(command: Sequence[str], path: Path) -> int:
    """Write the output of a dump's command to a file; return its size in bytes. Raises ValueError if it is no dump."""
    with path.open("wb") as file:
        status = subprocess.run(command, stdout=file, check=False).returncode  # noqa: S603 ours, or the operator's
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
    if status != 0 or magic != MAGIC:
        raise ValueError(f"{' '.join(command)} ended with status {status} and wrote no dump: nothing was uploaded")
    return path.stat().st_size


def back_up(root: Root, command: Sequence[str], now: datetime) -> str:
    """Dump and upload; return the URI. Raises ValueError, OSError, and what boto3 raises."""
    key = f"{root.prefix}backups/airflow-{now:%Y-%m-%dT%H%M%SZ}.dump"
    with tempfile.TemporaryDirectory(prefix="recommender-backup-", dir="/var/tmp") as directory:
        path = Path(directory) / "airflow.dump"
        size_bytes = dump(command, path)
        root.s3.upload_file(str(path), root.bucket, key)
    return f"s3://{root.bucket}/{key} ({size_bytes:,} bytes)"


def listing(root: Root) -> str:
    """All dumps, the newest first: name and size. Raises LookupError where there is none."""
    rows = root.newest_first("backups/", ".dump")
    if not rows:
        raise LookupError(f"s3://{root.bucket}/{root.prefix}backups/: there is no backup")
    return "\n".join(f"{row['Key'].rpartition('/')[2]}  {row['Size']:,} bytes" for row in rows)


def fetch(root: Root, path: Path, name: str | None) -> str:
    """Download a dump, the newest where none is named; return its URI. Raises LookupError where there is none."""
    known = [line.split()[0] for line in listing(root).splitlines()]
    wanted = name or known[0]
    if wanted not in known:
        raise LookupError(f"there is no backup {wanted}; --list names them all")
    key = f"{root.prefix}backups/{wanted}"
    root.s3.download_file(root.bucket, key, str(path))
    return f"s3://{root.bucket}/{key} -> {path}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.backup", description="Back the metadata database up.")
    parser.add_argument("--command", default=DUMP, help="what writes the dump to its output: %(default)s")
    parser.add_argument("--list", action="store_true", help="name all dumps instead, the newest first")
    parser.add_argument("--fetch", type=Path, metavar="FILE", help="download a dump instead")
    parser.add_argument("--name", help="of the dump to download; default: the newest")
    asked = parser.parse_args(arguments)
    try:
        root = Root.at(boto3.client("s3"), os.environ.get("RECOMMENDER_ROOT", ""))
        print(_done(root, asked))
    except (Boto3Error, BotoCoreError, ClientError, LookupError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _done(root: Root, asked: argparse.Namespace) -> str:
    if asked.list:
        return listing(root)
    if asked.fetch:
        return fetch(root, asked.fetch, asked.name)
    return back_up(root, asked.command.split(), datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
