"""The histories of a version's users: items, times, ratings and verified flags.

A known user is looked up here and then scored. New events can be added, since no weights are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EncodeConfig
from ..data.encoding import EncodedFold
from ..data.layouts import UNKNOWN, VERIFIED
from ..data.reviews import save_vocabulary
from ..errors import DataError
from ..ids import Vocabulary
from ..models.confidence import confidences
from ..models.histories import Histories, Ints
from ..storage.arrays import load_finite
from .bundle import read_vocabulary

ARRAYS: dict[str, type[np.generic]] = {
    "indptr": np.int64,
    "indices": np.int32,
    "times": np.int64,
    "ratings": np.float32,
    "verified": np.int8,
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Interactions of the published users, as CSR.

    users : the ids of the rows
    indptr, indices : int64 and int32; rows of `users`, columns of the published items
    times, ratings, verified : of each interaction: int64 seconds, float32 stars, int8 (1 yes, 0 no, -1 not known)
    n_items : published items
    """

    users: Vocabulary
    indptr: np.ndarray[Any, np.dtype[np.int64]]
    indices: Ints
    times: np.ndarray[Any, np.dtype[np.int64]]
    ratings: np.ndarray[Any, np.dtype[np.float32]]
    verified: np.ndarray[Any, np.dtype[np.int8]]
    n_items: int

    @classmethod
    def of(cls, fold: EncodedFold, users: Vocabulary) -> Seen:
        """The train part of a fold."""
        arrays = {name: getattr(fold, name) for name in ARRAYS}
        return cls(users=users, n_items=len(fold.item_codes), **arrays)

    def histories(self, split_s: int, config: EncodeConfig) -> Histories:
        """The histories to score from, with the confidences of the training.

        Parameters
        ----------
        split_s : `published_split_s` of the version
        config : that of the version
        """
        weighed = confidences(self.times, self.ratings, self.verified, split_s=split_s, config=config)
        return Histories(self.indptr, self.indices, weighed, self.n_items)

    def save(self, directory: Path) -> None:
        """Write the files `seen_*`."""
        for name, dtype in ARRAYS.items():
            np.save(directory / f"seen_{name}.npy", getattr(self, name).astype(dtype), allow_pickle=False)
        save_vocabulary(directory / "seen_users.parquet", self.users)

    @classmethod
    def load(cls, directory: Path, n_items: int) -> Seen:
        """Read and check the files `seen_*`. Raises DataError naming the file that is wrong."""
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for name, dtype in ARRAYS.items():
            length = len(arrays["indices"]) if name in ("times", "ratings", "verified") else None
            arrays[name] = load_finite(directory / f"seen_{name}.npy", dtype, (length,))
        indptr, indices = arrays["indptr"], arrays["indices"]
        if not len(indptr) or indptr[0] != 0 or (np.diff(indptr) < 0).any() or indptr[-1] != len(indices):
            raise DataError("seen_indptr.npy: does not describe seen_indices.npy")
        try:
            Histories(indptr, indices, np.ones(len(indices), dtype=np.float32), n_items)
        except DataError as error:
            raise DataError(f"seen_indices.npy: {error}") from error
        verified = arrays["verified"]
        if len(verified) and (verified.min() < UNKNOWN or verified.max() > VERIFIED):
            raise DataError(f"seen_verified.npy: holds a value outside {UNKNOWN}..{VERIFIED}")
        users = read_vocabulary(directory / "seen_users.parquet", len(indptr) - 1)
        return cls(users=users, n_items=n_items, **arrays)
