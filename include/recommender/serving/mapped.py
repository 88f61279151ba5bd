"""A version whose arrays are mapped from files, so that all processes of a machine share one copy in memory.

The files of the version are verified by their SHA-256. What follows from them (whitened vectors, directions of items,
sorted ids) is computed once a machine, kept beside them with digests of its own, and made again where one is wrong.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ..errors import ConfigError, DataError
from ..ids import Vocabulary
from ..models.model import Model, array_names
from ..models.scoring import knn_weight, needs_similarities
from ..models.similar import Similarity
from ..models.whitening import Grid
from ..registry.bundle import Manifest, ModelPart, served_config
from ..registry.code import code_of
from ..registry.seen import ARRAYS as ARRAYS_OF_SEEN
from ..registry.seen import Seen
from ..storage.artifacts import canonical_hash
from ..storage.digests import file_sha256
from ..storage.disk import guarded
from ..storage.scratch import scratch_directory
from .memory import check_version_memory, version_bytes
from .version import ServedVersion

log = logging.getLogger(__name__)

INDEX, LOCK = "files.json", ".mapped.lock"
APART_BYTES = 200_000_000
IDS = ("users", "items")
DIRECTIONS = "directions"


def mapped(manifest: Manifest, directory: Path) -> ServedVersion:
    """A version of verified files, its arrays read-only and shared.

    Parameters
    ----------
    directory : of the files, writable

    Raises
    ------
    DataError
        A file of the version is damaged; the message names it.
    ConfigError
        The disk is full or not writable, or the memory does not suffice.
    """
    folder = directory / f"mapped-{_fingerprint()}"
    with guarded(folder, f"the mapped arrays of {manifest.model_id}"), _alone(directory):
        if not _whole(folder, _names(manifest)):
            log.info("%s: its arrays are prepared once for this machine", manifest.model_id)
            check_version_memory(directory)
            shutil.rmtree(folder, ignore_errors=True)
            _prepare_apart(manifest, directory, folder)
    return _open(manifest, directory, folder)


def _fingerprint() -> str:
    """Of the code that makes the arrays, and of the library that computes them."""
    codes = [code_of(module.__module__) for module in (Model, Similarity, ModelPart, Seen, ServedVersion, mapped)]
    return f"{canonical_hash(codes)[:16]}-numpy{np.__version__}"


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One process of the machine at a time; the kernel unlocks where one ends."""
    handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _names(manifest: Manifest) -> list[str]:
    """The names of the arrays of a version."""
    return [*array_names(needs_similarities(served_config(manifest))), DIRECTIONS]


def _whole(folder: Path, arrays: list[str]) -> bool:
    """Whether the folder is there and its files are those that were written."""
    try:
        found = msgspec.json.decode((folder / INDEX).read_bytes(), type=dict[str, str])
        names = {*(f"{name}.npy" for name in arrays), *(f"{name}.arrow" for name in IDS)}
        return found.keys() == names and all(file_sha256(folder / name) == found[name] for name in names)
    except (OSError, msgspec.MsgspecError):
        return False


def _prepare_apart(manifest: Manifest, directory: Path, folder: Path) -> None:
    """Prepare a large version in a process of its own: the heap that this leaves behind is as large as the arrays."""
    if version_bytes(directory) < APART_BYTES:
        _prepare(manifest, directory, folder)
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(_prepare, manifest, directory, folder).result()
        except BrokenProcessPool as error:
            raise ConfigError(
                f"{manifest.model_id}: the process that prepares its arrays was ended, most likely for want of memory. "
                "Use a larger machine."
            ) from error


def _prepare(manifest: Manifest, directory: Path, folder: Path) -> None:
    _write(ServedVersion.load(manifest, directory), directory, folder)


def _write(version: ServedVersion, directory: Path, folder: Path) -> None:
    arrays = {**version.model.arrays(), DIRECTIONS: version.similarity.directions.vectors}
    with scratch_directory(directory, "mapped") as work:
        made = work / "made"
        made.mkdir()
        for name, array in arrays.items():
            np.save(made / f"{name}.npy", array, allow_pickle=False)
        for name in IDS:
            _write_ids(made / f"{name}.arrow", getattr(version, name))
        digests = {path.name: file_sha256(path) for path in sorted(made.iterdir())}
        (made / INDEX).write_bytes(msgspec.json.encode(digests))
        os.rename(made, folder)


def _write_ids(path: Path, vocabulary: Vocabulary) -> None:
    batch = pa.record_batch([vocabulary.ids], names=["id"])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as out:
        out.write_batch(batch)


def _read_ids(path: Path) -> Vocabulary:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return Vocabulary(table.column("id").combine_chunks())


def _open(manifest: Manifest, directory: Path, folder: Path) -> ServedVersion:
    arrays, config = {name: _map(folder / f"{name}.npy") for name in _names(manifest)}, served_config(manifest)
    users, items = (_read_ids(folder / f"{name}.arrow") for name in IDS)
    seen = {name: _map(directory / f"seen_{name}.npy") for name in ARRAYS_OF_SEEN}
    version = ServedVersion(
        manifest=manifest,
        config=config,
        items=items,
        seen=Seen(users=users, n_items=len(items), **seen),
        model=Model.of_arrays(arrays, knn_weight(config)),
        measure=lambda: Similarity(Grid.by_id(arrays[DIRECTIONS])),
    )
    if len(arrays["vectors"]) != len(items):
        raise DataError(f"{folder}: {len(arrays['vectors']):,} vectors of {len(items):,} items. Delete the folder")
    return version


def _map(path: Path) -> np.ndarray[Any, Any]:
    """A read-only array in a file; a plain one, since numpy is slower with its class `memmap`."""
    found: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return found
