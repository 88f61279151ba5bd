"""Similar items: those whose factors point in the same direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .als.taste import AlsScoring
from .histories import Histories, Ints
from .protocol import Rows, Scores
from .shortlist import nothing, shortlist
from .whitening import CHUNK_ITEMS, Factors, Grid, on_grid


@dataclass(frozen=True)
class Similarity:
    """Cosines of the angles between item factors; 0 for an item of which nothing is known."""

    directions: Grid

    @classmethod
    def of(cls, item_factors: Factors) -> Similarity:
        """Of item factors, float32, shape (n_items, n_factors)."""
        units = np.empty(item_factors.shape, dtype=np.float32)
        for start in range(0, len(units), CHUNK_ITEMS):
            rows = item_factors[start : start + CHUNK_ITEMS].astype(np.float64)
            lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
            units[start : start + CHUNK_ITEMS] = on_grid(rows / np.where(lengths > 0, lengths, 1.0)[:, None])
        return cls(Grid.by_id(units))

    def scoring(self, items: Rows) -> AlsScoring:
        """Cosines of some items with all items, ready for `shortlist`."""
        return AlsScoring(self.directions, self.directions.of(items))

    def most_similar(self, items: Rows, k: int) -> tuple[Ints, Scores]:
        """The k other items of the largest cosines above 0, for each of some items.

        Returns
        -------
        int32 and float32, shape (n, k), best first; -1 and -inf where there are no more. An item without factors has
        no similar items
        """
        best, cosines = nothing(len(items), k)
        known = np.flatnonzero(self.scoring(items).tastes.any(axis=1))
        themselves = Histories(
            np.arange(len(known) + 1),
            items[known].astype(np.int32),
            np.ones(len(known), dtype=np.float32),
            len(self.directions.vectors),
        )
        best[known], cosines[known] = shortlist(self.scoring(items[known]), themselves, k)
        unlike = ~(cosines > 0)
        best[unlike], cosines[unlike] = -1, -np.inf
        return best, cosines
