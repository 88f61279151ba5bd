"""Back the metadata database up: `python3 -m deploy.backup` dumps it to RECOMMENDER_ROOT/backups/, each day by a timer.

`--fetch FILE` downloads the newest dump, to restore it (docs/aws.md). The bucket's lifecycle removes old ones. It needs
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


def fetch(root: Root, path: Path) -> str:
    """Download the newest dump; return its URI. Raises LookupError where there is none."""
    rows = root.newest_first("backups/", ".dump")
    if not rows:
        raise LookupError(f"s3://{root.bucket}/{root.prefix}backups/: there is no backup")
    root.s3.download_file(root.bucket, rows[0]["Key"], str(path))
    return f"s3://{root.bucket}/{rows[0]['Key']} -> {path}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.backup", description="Back the metadata database up.")
    parser.add_argument("--command", default=DUMP, help="what writes the dump to its output: %(default)s")
    parser.add_argument("--fetch", type=Path, metavar="FILE", help="download the newest dump instead")
    asked = parser.parse_args(arguments)
    try:
        root = Root.at(boto3.client("s3"), os.environ.get("RECOMMENDER_ROOT", ""))
        print(fetch(root, asked.fetch) if asked.fetch else back_up(root, asked.command.split(), datetime.now(UTC)))
    except (Boto3Error, BotoCoreError, ClientError, LookupError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
