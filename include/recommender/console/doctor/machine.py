"""This machine: the disk of the cache, and the memory that training takes."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile

from ...config import KnnConfig, TrainConfig
from ...data.snapshots import Snapshot
from ...errors import NotFound
from ...models.knn.fitting import fit_bytes
from ...models.memory import MatrixSize, free_bytes, limit_bytes, needed_bytes
from ...registry.bundle import Manifest, served_config
from ...registry.listing import fold_file
from ...storage.cache import TAG, cache_of
from ...storage.disk import guarded
from ..text import size
from .contents import live, newest_snapshot, size_bytes
from .examined import Examined
from .findings import DoctorCheck, DoctorFinding, failed, fine, unchecked, warning

SPACE_RATIO = 5  # download_reviews wants that, also where jobs parse the files
OF_JOBS = "Compare it with the memory of the job definition: aws batch describe-job-definitions --status ACTIVE"
EXPECTED = "a folder of this user that can be written, on a local disk"


def _batch(about: Examined) -> str:
    """The queue and the definition of the jobs, "" where the worker does everything."""
    return about.environment.get("RECOMMENDER_AWS_BATCH", "").strip()


def cache(about: Examined) -> DoctorFinding:
    """Whether the cache can be used; it is not made here, as this may be another user than the worker."""
    folder = cache_of(about.environment)
    place = next(path for path in (folder, *folder.parents) if path.exists())
    elsewhere = f"Give it to the user of the worker (chown -R {os.geteuid()} {place}), or set RECOMMENDER_CACHE."
    if os.path.lexists(folder):
        status = folder.lstat()
        if stat.S_ISLNK(status.st_mode) or not stat.S_ISDIR(status.st_mode):
            return failed(f"{folder} is a link or a file", EXPECTED, f"rm {folder}")
        if status.st_uid != os.geteuid():
            return failed(f"{folder} belongs to user {status.st_uid}, this is user {os.geteuid()}", EXPECTED, elsewhere)
        if not (folder / TAG).exists() and any(folder.iterdir()):
            return failed(
                f"{folder} is there, and is not a cache of this project", EXPECTED, f"mv {folder} {folder}.old"
            )
    with guarded(place, "the cache"), tempfile.NamedTemporaryFile(dir=place, prefix=".recommender-doctor-"):
        return fine(f"{folder}{'' if place == folder else f' will be made in {place}'}")


def disk(about: Examined) -> DoctorFinding:
    """Free space against what the newest snapshot takes while it is read."""
    folder = cache_of(about.environment)
    place = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        snapshot = newest_snapshot(about)
    except NotFound:
        return unchecked("there is no snapshot to compare with")
    free, needed = shutil.disk_usage(place).free, SPACE_RATIO * size_bytes(snapshot)
    seen = f"{place}: {size(free)} are free"
    expected = f"{size(needed)}: {SPACE_RATIO} times the snapshot {snapshot.name}"
    if free < needed:
        return failed(seen, expected, "Free some space there, or point RECOMMENDER_CACHE to a larger disk.")
    return fine(f"{seen}, {size(needed)} are needed")


def memory(about: Examined) -> DoctorFinding:
    """What the largest fit of a run takes for the newest snapshot; see `_fits`."""
    state = live(about)
    if state is None:
        return unchecked("no version yet to count from; train_als checks it before it starts")
    manifest = about.registry.manifest(state.model_id)
    growth, named = _growth(about, manifest)
    fold = fold_file(about.registry, manifest).published
    counts = (fold.train_users, fold.train_items, fold.train, fold.train_single_users)
    matrix = MatrixSize.counted(*(int(growth * count) for count in counts))
    fits = _fits(manifest, matrix)
    needed, texts = max(fits.values()), [f"{name} needs about {size(each)}" for name, each in fits.items()]
    counted = (
        f"{', '.join(texts)} ({matrix.n_users:,} users, {matrix.n_items:,} items, {matrix.nnz:,} interactions, {named})"
    )
    if place := _batch(about):
        return unchecked(f"training runs as jobs of AWS Batch ({place}); {counted}", OF_JOBS)
    limit, free = limit_bytes(), free_bytes()
    seen = f"{counted}; {size(free)} of {size(limit)} are free"
    if needed > limit:
        return failed(
            seen,
            "the memory of the machine, or of this container's limit, above that",
            "A larger machine, a higher limit (compose: SCHEDULER_MEMORY), fewer factors or neighbours, or higher "
            "minimum counts.",
        )
    if needed > free:
        return warning(seen, "that much free when a run starts", "Look what else takes memory: a run, or another job.")
    return fine(seen)


def _fits(manifest: Manifest, matrix: MatrixSize) -> dict[str, int]:
    """Bytes of ALS and of item-kNN, which every run fits one after the other; by what decides them.

    Each is counted with the larger of the default and the version's value. The given matrix, 8 bytes an interaction,
    is included.
    """
    factors = max(TrainConfig().factors, manifest.choice.factors)
    knn = KnnConfig(neighbours=max(KnnConfig().neighbours, served_config(manifest).knn.neighbours))
    return {
        f"factors={factors}": needed_bytes(matrix, TrainConfig(factors=factors)),
        f"knn_neighbours={knn.neighbours}": fit_bytes(matrix.n_items, matrix.nnz, knn) + 8 * matrix.nnz,
    }


def _growth(about: Examined, manifest: Manifest) -> tuple[float, str]:
    """By how much the newest snapshot is larger than the one that the version was made from, at least 1; its name."""
    snapshot = newest_snapshot(about)
    rows = [row for row in about.snapshots.walk(f"{manifest.snapshot}/")] if manifest.snapshot else []
    before = sum(row.size_bytes for row in rows)
    return max(1.0, size_bytes(snapshot) / before if before else 1.0), f"as of {_of(snapshot, manifest)}"


def _of(snapshot: Snapshot, manifest: Manifest) -> str:
    return snapshot.name if snapshot.name == manifest.snapshot else f"{snapshot.name}, from {manifest.snapshot}'s"


CACHE = DoctorCheck("machine", "cache", cache, (), EXPECTED)
DISK = DoctorCheck("machine", "disk", disk, ("cache", "newest snapshot"))
MEMORY = DoctorCheck("machine", "memory", memory, ("channel", "newest snapshot"))
