"""The model protocol of evaluation, batch and online scoring: scores from histories."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .histories import Histories

Scores = np.ndarray[Any, np.dtype[np.float32]]
Rows = np.ndarray[Any, np.dtype[np.int32]]


class Recommender(Protocol):
    """Scores every item for some histories; higher is better. Ties go to the smaller item index, the smaller id."""

    def score(self, histories: Histories) -> Scores:
        """Scores of all items, float32, shape (len(histories), n_items); the caller may overwrite them.

        The scores of a history do not depend on the other histories, to the last bit.
        """
        ...
