"""The fold: a confidence matrix of the train interactions, and a holdout."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ..config import EncodeConfig
from ..errors import DataError
from ..models.confidence import confidences
from ..models.histories import Histories, Ints
from ..models.popularity import ItemInteractions
from ..progress import Progress
from ..storage.arrays import REMEDY, check_offsets, check_within, load_array
from ..storage.documents import load_json
from .layouts import UNKNOWN, UNVERIFIED, VERIFIED
from .reviews import Reviews
from .split import Pairs, changes, split_time

log = logging.getLogger(__name__)

# One value a train interaction.
_TRAIN_ARRAYS = ("indices", "confidence", "times", "ratings", "verified")
_ARRAYS = (
    "user_codes",
    "item_codes",
    "indptr",
    *_TRAIN_ARRAYS,
    "holdout_indptr",
    "holdout_items",
    "holdout_rows",
)

# dtype and shape of each.
_TYPES: dict[str, tuple[type[np.generic], tuple[None]]] = {
    **dict.fromkeys(("user_codes", "item_codes", "indices", "holdout_items", "holdout_rows"), (np.int32, (None,))),
    **dict.fromkeys(("indptr", "holdout_indptr", "times"), (np.int64, (None,))),
    **dict.fromkeys(("confidence", "ratings"), (np.float32, (None,))),
    "verified": (np.int8, (None,)),
}
MAX_CODE = 2**31 - 1
# Sort; train; rare users and items, and holdout; arrays and counts.
ENCODE_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class EncodedFold:
    """The train matrix, and the held-out items of each train user.

    user_codes : int32, shape (n_users,), the parse code of each train user, ascending; item_codes likewise
    indptr, indices, confidence : CSR of 1 + alpha * w, float32, shape (n_users, n_items)
    times, ratings, verified : of each interaction, parallel to `confidence`: int64 seconds, float32 stars, and int8
        (1 yes, 0 no, -1 not known)
    holdout_rows : int32, shape (n_judged,), train rows of the users with held-out interactions
    holdout_indptr, holdout_items : the held-out items of each, as parse codes (cold items among them), ascending
    """

    user_codes: Ints
    item_codes: Ints
    indptr: np.ndarray[Any, np.dtype[np.int64]]
    indices: Ints
    confidence: np.ndarray[Any, np.dtype[np.float32]]
    times: np.ndarray[Any, np.dtype[np.int64]]
    ratings: np.ndarray[Any, np.dtype[np.float32]]
    verified: np.ndarray[Any, np.dtype[np.int8]]
    holdout_indptr: np.ndarray[Any, np.dtype[np.int64]]
    holdout_items: Ints
    holdout_rows: Ints
    stats: dict[str, float]

    @property
    def matrix(self) -> sparse.csr_matrix:
        """Confidence, float32, shape (n_users, n_items). Absent entries are unknown, never negative."""
        shape = (len(self.user_codes), len(self.item_codes))
        return sparse.csr_matrix((self.confidence, self.indices, self.indptr), shape=shape)

    @property
    def split_s(self) -> int:
        """Seconds, the instant between train and holdout."""
        return int(self.stats["split_s"])

    @property
    def histories(self) -> Histories:
        """The train histories, in the rows and columns of the matrix."""
        return Histories(self.indptr, self.indices, self.confidence, len(self.item_codes))

    @property
    def item_interactions(self) -> ItemInteractions:
        """The train interactions without their users."""
        return ItemInteractions(
            items=self.indices, times=self.times, n_items=len(self.item_codes), split_s=self.split_s
        )

    @property
    def history(self) -> Ints:
        """Train interactions of each user, int32, shape (n_users,)."""
        return np.diff(self.indptr).astype(np.int32)

    def only(self, kept: np.ndarray[Any, Any]) -> EncodedFold:
        """The fold with only some train interactions, in the same rows and columns; rows and columns may become empty.

        Parameters
        ----------
        kept : bool, shape (n_train,), or ascending positions
        """
        rows = self.histories.rows[kept]
        counts = np.bincount(rows, minlength=len(self.user_codes))
        parts = {name: getattr(self, name)[kept] for name in _TRAIN_ARRAYS}
        return replace(self, indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), **parts)

    def reweighed(self, config: EncodeConfig) -> EncodedFold:
        """The fold with the confidences of another configuration, whose split and minimum counts must be the same."""
        weighed = confidences(self.times, self.ratings, self.verified, split_s=self.split_s, config=config)
        return replace(self, confidence=weighed)

    def save(self, directory: Path) -> None:
        """Write the arrays as .npy and the statistics as fold.json."""
        for name in _ARRAYS:
            np.save(directory / f"{name}.npy", getattr(self, name), allow_pickle=False)
        (directory / "fold.json").write_text(json.dumps(self.stats, indent=1, sort_keys=True))

    @classmethod
    def load(cls, directory: Path) -> EncodedFold:
        """Read the files of `save`, memory-mapped; copy-on-write, since implicit takes no read-only arrays."""
        arrays = {name: load_array(directory / f"{name}.npy", *_TYPES[name], mmap_mode="c") for name in _ARRAYS}
        stats = load_json(directory / "fold.json", REMEDY)
        if not isinstance(stats, dict) or type(stats.get("split_s")) is not int:
            raise DataError(f"{directory / 'fold.json'}: expected an object with the integer split_s. {REMEDY}")
        found = cls(**arrays, stats=stats)
        found._check(directory)
        return found

    def _check(self, directory: Path) -> None:
        """Raise DataError if the arrays do not match each other: compiled code uses them as memory offsets."""

        def path(name: str) -> Path:
            return directory / f"{name}.npy"

        n_users, n_items, n_train = len(self.user_codes), len(self.item_codes), len(self.indices)
        lengths = {name: n_train for name in _TRAIN_ARRAYS} | {
            "indptr": n_users + 1,
            "holdout_indptr": len(self.holdout_rows) + 1,
        }
        wrong = [name for name, length in lengths.items() if len(getattr(self, name)) != length]
        if wrong:
            raise DataError(
                f"{path(wrong[0])}: {len(getattr(self, wrong[0]))} values, expected {lengths[wrong[0]]}. {REMEDY}"
            )
        check_offsets(path("indptr"), self.indptr, n_train)
        check_offsets(path("holdout_indptr"), self.holdout_indptr, len(self.holdout_items))
        check_within(path("indices"), self.indices, 0, n_items)
        check_within(path("holdout_rows"), self.holdout_rows, 0, n_users)
        check_within(path("verified"), self.verified, UNKNOWN, VERIFIED + 1)
        for name in ("user_codes", "item_codes", "holdout_items"):
            check_within(path(name), getattr(self, name), 0, MAX_CODE)
        if not (np.isfinite(self.confidence).all() and np.isfinite(self.ratings).all()):
            raise DataError(f"{path('confidence')}: holds values that are not finite. {REMEDY}")


def encode(reviews: Reviews, as_of_s: int, config: EncodeConfig) -> EncodedFold:
    """Drop reviews at or after as_of, de-duplicate, split by time, drop rare users and items, weigh.

    Parameters
    ----------
    reviews : all reviews of the snapshot
    as_of_s : seconds since 1970 UTC; reviews at or after it are dropped

    Raises
    ------
    DataError
        No train interaction is left, or no user can be judged.
    """
    progress = Progress(log, "Encoding", ENCODE_STEPS, "steps")
    n_reviews, pairs = len(reviews), Pairs.before(reviews, as_of_s)
    progress.at(1)
    # The caller may have kept none of the columns, and users and items are in the pairs.
    del reviews
    split_s = split_time(pairs.first_s, config.holdout_fraction)
    early = np.flatnonzero(pairs.first_s < split_s).astype(np.int32)
    # A review in the holdout may be the one that verifies a purchase: train must not know that.
    train = pairs.interactions(early, before_s=split_s if config.holdout_fraction else as_of_s)
    progress.at(2)
    kept, n_rounds = frequent(train.user, train.item, config.min_user_interactions, config.min_item_interactions)
    _require_train(len(kept), len(early), config)
    holdout = _Holdout.of(pairs, split_s)
    progress.at(3)
    stats: dict[str, float] = {
        "split_s": split_s,
        "reviews": n_reviews,
        "after_as_of": n_reviews - len(pairs.order),
        "repeated": len(pairs.order) - len(pairs),
        "interactions": len(pairs),
        "first_s": int(pairs.first_s.min()),
        "last_s": int(pairs.first_s.max()),
        "train_dropped_rare": len(early) - len(kept),
        "filter_rounds": n_rounds,
    }
    del pairs, early
    encoded = _encoded(train if len(kept) == len(train) else train.take(kept), holdout, stats, config)
    _require_judged_users(encoded, holdout, config)
    return replace(encoded, stats={**stats, **_train_stats(encoded), **_holdout_stats(holdout, encoded)})


@dataclass(frozen=True)
class _Holdout:
    """The held-out pairs, sorted by user, item: int32, shape (n_held,) each."""

    user: Ints
    item: Ints

    @classmethod
    def of(cls, pairs: Pairs, split_s: int) -> _Holdout:
        held = pairs.first_s >= split_s
        return cls(pairs.user[held], pairs.item[held])

    @property
    def n_users(self) -> int:
        return int(changes(self.user).sum())


def _require_train(n_kept: int, n_train: int, config: EncodeConfig) -> None:
    if n_kept == 0:
        raise DataError(
            f"No train interaction is left of {n_train:,}: every user has fewer than "
            f"min_user_interactions={config.min_user_interactions} or every item fewer than "
            f"min_item_interactions={config.min_item_interactions}. Lower them, or bring more reviews."
        )


def _encoded(train: Reviews, holdout: _Holdout, stats: dict[str, float], config: EncodeConfig) -> EncodedFold:
    """The arrays of a fold, from interactions sorted by user, item."""
    starts = np.flatnonzero(changes(train.user))
    user_codes = train.user[starts]
    present = _flags(train.item, int(train.item.max()) + 1)
    columns = np.cumsum(present, dtype=np.int32) - np.int32(1)
    holdout_rows, holdout_indptr, holdout_items = _judged(holdout, user_codes)
    return EncodedFold(
        user_codes=user_codes,
        item_codes=np.flatnonzero(present).astype(np.int32),
        indptr=np.append(starts, len(train)),
        indices=columns[train.item],
        confidence=confidences(train.time, train.rating, train.verified, split_s=int(stats["split_s"]), config=config),
        times=train.time,
        ratings=train.rating,
        verified=train.verified,
        holdout_indptr=holdout_indptr,
        holdout_items=holdout_items,
        holdout_rows=holdout_rows,
        stats=stats,
    )


def _flags(codes: Ints, n: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each of n codes occurs."""
    found = np.zeros(n, dtype=bool)
    found[codes] = True
    return found


def _require_judged_users(encoded: EncodedFold, holdout: _Holdout, config: EncodeConfig) -> None:
    if len(holdout.user) and not len(encoded.holdout_rows):
        raise DataError(
            f"The holdout is empty: none of the {holdout.n_users:,} users with interactions after "
            f"the split time has one before it. Raise holdout_fraction={config.holdout_fraction:g}, choose a later "
            "as_of, or bring a longer history."
        )


def frequent(user: Ints, item: Ints, min_user: int, min_item: int) -> tuple[Ints, int]:
    """Leave out users and items with too few interactions until none is left.

    Returns
    -------
    int32 positions of the interactions that are kept, ascending; and the number of rounds
    """
    kept, rounds = np.arange(len(user), dtype=np.int32), 0
    while len(kept) and max(min_user, min_item) > 1:
        keep = (np.bincount(user) >= min_user)[user]
        keep &= (np.bincount(item) >= min_item)[item]
        if keep.all():
            break
        kept, user, item, rounds = kept[keep], user[keep], item[keep], rounds + 1
    return kept, rounds


def _judged(holdout: _Holdout, user_codes: Ints) -> tuple[Ints, np.ndarray[Any, np.dtype[np.int64]], Ints]:
    """Train rows of the held-out users, offsets of each, and their items; users without a train row are left out."""
    row = np.searchsorted(user_codes, holdout.user)
    warm = user_codes[np.minimum(row, len(user_codes) - 1)] == holdout.user
    row = row[warm]
    starts = np.flatnonzero(changes(row))
    return row[starts].astype(np.int32), np.append(starts, len(row)), holdout.item[warm]


def _train_stats(encoded: EncodedFold) -> dict[str, float]:
    n_train, n_users, n_items = len(encoded.times), len(encoded.user_codes), len(encoded.item_codes)
    return {
        "split_s": encoded.split_s,
        "train": n_train,
        "train_users": n_users,
        "train_single_users": int((encoded.history == 1).sum()),
        "train_items": n_items,
        "density": n_train / (n_users * n_items),
        "verified": int((encoded.verified == VERIFIED).sum()),
        "unverified": int((encoded.verified == UNVERIFIED).sum()),
        "verified_unknown": int((encoded.verified == UNKNOWN).sum()),
    }


def _holdout_stats(holdout: _Holdout, encoded: EncodedFold) -> dict[str, int]:
    held = encoded.holdout_items
    n_codes = max(int(encoded.item_codes[-1]), int(holdout.item.max(initial=0))) + 1
    warm = _flags(encoded.item_codes, n_codes)
    items = np.flatnonzero(_flags(holdout.item, n_codes))
    return {
        "holdout": len(holdout.user),
        "holdout_users": holdout.n_users,
        "holdout_items": len(items),
        "cold_users": holdout.n_users - len(encoded.holdout_rows),
        "cold_items": int((~warm[items]).sum()),
        "holdout_of_cold_users": len(holdout.user) - len(held),
        "holdout_on_cold_items": int((~warm[holdout.item]).sum()),
        "judged_users": len(encoded.holdout_rows),
        "judged_interactions": len(held),
        "judged_on_cold_items": int((~warm[held]).sum()),
    }
