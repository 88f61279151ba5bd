"""What the Docker stack needs before Airflow starts: a bucket, a store that is safe, samples in an empty bucket.

Runs in the service `init`, after the database was migrated. It may run any number of times: what is there is kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.stack import SAMPLES
from include.orchestration.settings import Settings
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.parameters import shown_value
from include.recommender.registry.channels import Channels
from include.recommender.storage.faults import STORE_ERRORS, translate
from include.recommender.storage.objects import ObjectStore
from samples.generated import snapshot_dates, write_snapshots


def wants_samples(environment: Mapping[str, str]) -> bool:
    """Whether an empty bucket gets the generated snapshots: RECOMMENDER_SAMPLES is 1 or not set. Raises ConfigError."""
    given = environment.get(SAMPLES, "").strip()
    if given not in {"", "0", "1"}:
        raise ConfigError(f"{SAMPLES}={shown_value(given)}: expected 1 (samples in an empty bucket) or 0 (none)")
    return given != "0"


def ensure_bucket(place: ObjectStore, folder: str) -> bool:
    """Create the bucket of a place. Returns False where it exists.

    It lists a folder that the DAG's role may list: in AWS that role can neither list the buckets nor create one.

    Raises
    ------
    RecommenderError
        What `translate` makes of a refusal.
    """
    client, bucket = place.client, place.bucket
    prefix = "".join(f"{name}/" for name in (place.prefix, folder) if name)
    try:
        try:
            client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except client.exceptions.NoSuchBucket:
            client.create_bucket(Bucket=bucket)
            return True
    except STORE_ERRORS as error:
        raise translate(error, "create", f"s3://{bucket}", client.meta.endpoint_url) from error
    return False


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
    settings, samples = Settings.from_environment(environment), wants_samples(environment)
    workspace = settings.workspace()
    for place, folder in ((workspace.root, "channels"), (workspace.snapshots, "")):
        made = ensure_bucket(place, folder)
        print(f"bucket {place.bucket}: {'created' if made else 'kept'}")
    Channels(workspace.root).probe()
    print(f"{settings.root}: of writers that race for one key, one wins")
    n_files = load_samples(workspace.snapshots) if samples else 0
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
