"""A model in the columns of another catalogue: joined by item, never by column number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .histories import Histories
from .protocol import Scores, ScoringModel


@dataclass(frozen=True)
class InColumns:
    """Scores of a model at other columns. Items that the model does not know cannot be recommended by it.

    columns : int64, shape (n_items,), the model's column of each item, -1 if it has none
    """

    model: ScoringModel
    columns: np.ndarray[Any, np.dtype[np.int64]]

    def score(self, histories: Histories) -> Scores:
        """Scores, float32, shape (len(histories), len(columns)), from histories in the columns of the model."""
        scores: Scores = self.model.score(histories)[:, np.maximum(self.columns, 0)]
        scores[:, self.columns < 0] = -np.inf
        return scores
