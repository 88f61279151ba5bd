"""The folder that the pieces of a benchmark share, and what they are asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the references run without the library
    from include.recommender.config import RetrainConfig


@dataclass(frozen=True, kw_only=True)
class Work:
    """A benchmark's folder.

    n_judged : users whose lists are judged, at most
    iterations : of the script and of the stages; fit_iterations : of the fits that are compared with each other
    unverified : weight of a review without a verified purchase; holdout : share of the interactions
    """

    folder: Path
    n_factors: int
    n_judged: int
    iterations: int
    fit_iterations: int
    regularization: float
    alpha: float
    unverified: float
    holdout: float
    top_k: int
    seed: int

    @classmethod
    def of(cls, config: RetrainConfig, folder: Path, *, n_factors: int, n_judged: int, fit_iterations: int) -> Work:
        """What is the library's configuration for the references, too."""
        return cls(
            folder=folder,
            n_factors=n_factors,
            n_judged=n_judged,
            iterations=config.train.iterations,
            fit_iterations=fit_iterations,
            regularization=config.train.regularization,
            alpha=config.encode.alpha,
            unverified=config.encode.unverified_weight,
            holdout=config.encode.holdout_fraction,
            top_k=config.evaluate.top_k,
            seed=config.train.seed,
        )

    @property
    def reviews(self) -> Path:
        """The generated reviews."""
        return self.folder / "reviews.jsonl.gz"

    @property
    def fold(self) -> Path:
        """The encoded fold."""
        return self.folder / "fold"

    @property
    def factors(self) -> Path:
        """The item factors."""
        return self.folder / "factors.npy"

    @property
    def users(self) -> Path:
        """The ids of the judged users, a line each."""
        return self.folder / "judged.txt"

    def write(self) -> None:
        """Keep what is asked for, for the pieces."""
        (self.folder / "work.json").write_text(json.dumps(asdict(self) | {"folder": ""}))

    @classmethod
    def read(cls, folder: Path) -> Work:
        """What `write` kept."""
        return cls(**(json.loads((folder / "work.json").read_text()) | {"folder": folder}))
