"""What the Docker stack needs before Airflow starts: login, bucket, a store that is safe, samples in an empty bucket.

Runs in the service `init`, after the database was migrated. It may run any number of times: what is there is kept,
but for the login, which follows AIRFLOW_ADMIN_PASSWORD.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.stack import USER
from include.orchestration.settings import Settings
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.registry.channels import Channels
from include.recommender.storage.faults import STORE_ERRORS, translate
from include.recommender.storage.objects import ObjectStore
from samples.generated import snapshot_dates, write_snapshots

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PASSWORDS_FILE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
ADMIN_PASSWORD = "AIRFLOW_ADMIN_PASSWORD"  # noqa: S105 the name of a variable


def write_login(environment: Mapping[str, str]) -> Path:
    """Write the file that the simple auth manager reads, with mode 600. Raises ConfigError."""
    absent = [name for name in (PASSWORDS_FILE, ADMIN_PASSWORD) if not environment.get(name)]
    if absent:
        raise ConfigError(f"{', '.join(absent)} not set in the service init: make .env with python3 -m deploy.make_env")
    path = Path(environment[PASSWORDS_FILE])
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({USER: environment[ADMIN_PASSWORD]}, file)
    return part.replace(path)


def ensure_bucket(client: S3Client, bucket: str) -> bool:
    """Create the bucket. Returns False where it exists. Raises what `translate` makes of a refusal."""
    try:
        if any(found["Name"] == bucket for found in client.list_buckets()["Buckets"]):
            return False
        client.create_bucket(Bucket=bucket)
    except STORE_ERRORS as error:
        raise translate(error, "create", f"s3://{bucket}", client.meta.endpoint_url) from error
    return True


def load_samples(snapshots: ObjectStore) -> int:
    """Upload the generated sample snapshots where there are no snapshots. Returns the number of files."""
    days = [day.isoformat() for day in snapshot_dates()]
    present = set(snapshots.folders())
    # The newest is uploaded last: without it, an earlier load was cut off.
    if present and (days[-1] in present or present - set(days)):
        return 0
    with tempfile.TemporaryDirectory() as directory:
        files = sorted(write_snapshots(Path(directory)))
        for path in files:
            snapshots.upload(path, path.relative_to(directory).as_posix())
    return len(files)


def prepare(environment: Mapping[str, str]) -> None:
    """Do all of it, and say what was done. Raises RecommenderError."""
    settings = Settings.from_environment(environment)
    workspace = settings.workspace()
    write_login(environment)
    print(f"login: user {USER}, password: {ADMIN_PASSWORD} in .env")
    for bucket in sorted({workspace.root.bucket, workspace.snapshots.bucket}):
        made = ensure_bucket(workspace.root.client, bucket)
        print(f"bucket {bucket}: {'created' if made else 'kept'}")
    Channels(workspace.root).probe()
    print(f"{settings.root}: of writers that race for one key, one wins")
    n_files = load_samples(workspace.snapshots)
    print(f"{settings.snapshots}: {f'{n_files} generated sample files loaded' if n_files else 'kept as it is'}")


def main() -> int:
    """Command line. Returns the exit status."""
    try:
        prepare(os.environ)
    except (RecommenderError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
