"""What evaluation, batch and online scoring ask of a model."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Scores = np.ndarray[Any, np.dtype[np.float32]]
Rows = np.ndarray[Any, np.dtype[np.int32]]


class Recommender(Protocol):
    """Scores every item for some users; higher is better. Ties go to the smaller item index, that is the smaller id."""

    def score(self, rows: Rows) -> Scores:
        """Scores of all items, float32, shape (len(rows), n_items); the caller may overwrite them.

        Parameters
        ----------
        rows : int32, shape (n,), train rows of the users
        """
        ...
