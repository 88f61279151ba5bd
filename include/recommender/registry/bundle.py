"""A bundle: the immutable files of one model version. No pickle, ever.

It keeps two sets of factors: the judged ones, trained before the cut, with which a later run may be compared on a
holdout that they have not seen; and the published ones, refitted on everything before as_of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from ..config import NO_PRIOR, PriorConfig, RetrainConfig
from ..data.interactions import load_ids, save_ids
from ..errors import DataError
from ..models.als import Als
from ..storage.artifacts import canonical_hash
from ..storage.documents import parse_json
from ..storage.names import name_problem
from ..storage.objects import file_sha256

FORMAT = 1
MANIFEST = "manifest.json"
# What a run says of a model. Two runs may make the same model and say different things, so these are stored under names
# that hold their hash: neither overwrites the other's.
JUDGEMENT = frozenset({"MODEL_CARD.md", "verdict.json"})


@dataclass(frozen=True)
class ModelPart:
    """Factors and the ids of their rows.

    als : user_factors float32 (n_users, n_factors), item_factors float32 (n_items, n_factors)
    user_ids, item_ids : text, ascending; position is row
    prior : float64, shape (n_items,), the item prior: decayed popularity when the factors end
    """

    als: Als
    user_ids: pa.LargeStringArray
    item_ids: pa.LargeStringArray
    prior: np.ndarray[Any, np.dtype[np.float64]]

    def save(self, directory: Path, part: str) -> None:
        """Write the files `<part>_*`."""
        np.save(directory / f"{part}_user_factors.npy", self.als.user_factors, allow_pickle=False)
        np.save(directory / f"{part}_item_factors.npy", self.als.item_factors, allow_pickle=False)
        np.save(directory / f"{part}_prior.npy", self.prior, allow_pickle=False)
        save_ids(directory / f"{part}_users.parquet", self.user_ids)
        save_ids(directory / f"{part}_items.parquet", self.item_ids)

    @classmethod
    def load(cls, directory: Path, part: str) -> ModelPart:
        """Read and check the files `<part>_*`. Raises DataError naming the file that is wrong."""
        users, items = load_ids(directory / f"{part}_users.parquet"), load_ids(directory / f"{part}_items.parquet")
        user_factors = _checked(directory / f"{part}_user_factors.npy", np.float32, (len(users), None))
        item_factors = _checked(directory / f"{part}_item_factors.npy", np.float32, (len(items), user_factors.shape[1]))
        prior = _checked(directory / f"{part}_prior.npy", np.float64, (len(items),))
        return cls(Als(user_factors, item_factors), users, items, prior)


def _checked(path: Path, dtype: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
    if array.dtype != dtype or len(array.shape) != len(shape):
        raise DataError(f"{path.name}: {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    if any(want is not None and want != have for want, have in zip(shape, array.shape, strict=True)):
        raise DataError(f"{path.name}: shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise DataError(f"{path.name}: holds values that are not finite")
    return array


def save_seen(directory: Path, seen: sparse.csr_matrix) -> None:
    """What each published user has interacted with, as CSR without values."""
    np.save(directory / "seen_indptr.npy", seen.indptr.astype(np.int64), allow_pickle=False)
    np.save(directory / "seen_indices.npy", seen.indices.astype(np.int32), allow_pickle=False)


def load_seen(directory: Path, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Read what `save_seen` wrote; values are 1, shape (n_users, n_items)."""
    indptr = _checked(directory / "seen_indptr.npy", np.int64, (shape[0] + 1,))
    indices = _checked(directory / "seen_indices.npy", np.int32, (None,))
    if indptr[0] != 0 or (np.diff(indptr) < 0).any() or indptr[-1] != len(indices):
        raise DataError("seen_indptr.npy: does not describe seen_indices.npy")
    if len(indices) and (indices.min() < 0 or indices.max() >= shape[1]):
        raise DataError(f"seen_indices.npy: holds an item outside 0..{shape[1] - 1}")
    return sparse.csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=shape)


def model_id(newest_s: int, identity: Mapping[str, Any]) -> str:
    """`<date of the newest review it knows>-<hash of what it is>`: the same model has the same id, whenever it is made.

    Were the date that of the run, a model that was rolled back would come again under another name next week.
    """
    return f"{datetime.fromtimestamp(newest_s, UTC):%Y%m%d}-{canonical_hash(dict(identity))[:12]}"


def describe(directory: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of the files in a directory: `about`, and each file's bytes, SHA-256 and name in the store."""
    files = {path.name: _file_entry(path) for path in sorted(directory.iterdir()) if path.name != MANIFEST}
    return {"format": FORMAT, **about, "files": files}


def _file_entry(path: Path) -> dict[str, Any]:
    found = file_sha256(path)
    stored_as = f"{path.stem}-{found[:12]}{path.suffix}" if path.name in JUDGEMENT else path.name
    return {"size_bytes": path.stat().st_size, "sha256": found, "stored_as": stored_as}


def object_name(name: str, entry: Mapping[str, Any]) -> str:
    """The name of a bundle's file in the store."""
    found: str = entry.get("stored_as", name)
    return found


def is_judgement(stored: str) -> bool:
    """Whether an object's name is one that a run gives to what it says of a model."""
    return any(stored.startswith(f"{Path(name).stem}-") and stored.endswith(Path(name).suffix) for name in JUDGEMENT)


def prior_of(manifest: Mapping[str, Any]) -> PriorConfig:
    """How the item prior of a version enters its score; a version from before there was one scores without."""
    return RetrainConfig.from_dict({"prior": manifest.get("prior", NO_PRIOR)}).prior


def read_manifest(raw: bytes, where: str) -> dict[str, Any]:
    """Parse a manifest. Raises DataError on a format that this code does not read."""
    try:
        manifest: dict[str, Any] = parse_json(raw, where, "Roll the channel back to another version.")
        version = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: not a bundle manifest ({error})") from error
    if version != FORMAT:
        raise DataError(f"{where}: bundle format {version}, this code reads format {FORMAT}; upgrade the project")
    problem = _manifest_problem(manifest)
    if problem:
        raise DataError(f"{where}: not a bundle manifest ({problem})")
    return manifest


def _manifest_problem(manifest: dict[str, Any]) -> str | None:
    """What every reader relies on."""
    try:
        datetime.fromisoformat(manifest["as_of"])
        if not all({"size_bytes", "sha256"} <= entry.keys() for entry in manifest["files"].values()):
            return "a file without size_bytes or sha256"
        names = [*manifest["files"], *(object_name(name, entry) for name, entry in manifest["files"].items())]
        strange = [name for name in names if name_problem(name)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return f"the file name {strange[0]!r}" if strange else None
