"""The folder that the pieces of a benchmark share, and what they are asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Work:
    """A benchmark's folder.

    n_judged : users whose lists are judged, at most
    iterations : of the script and of the stages; fit_iterations : of the fits that are compared with each other
    """

    folder: Path
    n_factors: int
    n_judged: int
    iterations: int
    fit_iterations: int

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
