"""The model protocol of evaluation, batch and online scoring: scores from histories."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from .histories import Histories, Ints

Scores = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]


class ScoringModel(Protocol):
    """Scores every item for some histories; higher is better. Ties go to the smaller item index, the smaller id."""

    def score(self, histories: Histories) -> Scores:
        """Scores of all items, float32, shape (len(histories), n_items); the caller may overwrite them.

        The scores of a history do not depend on the other histories, to the last bit.
        """
        ...


class Scoring(Protocol):
    """Some histories, ready to be scored: by fast bounds, or exactly for a few items."""

    @property
    def order(self) -> Ints:
        """The items in the order in which they are scored, int32, shape (n_items,)."""
        ...

    @property
    def place(self) -> Ints:
        """The place of each item in that order, int32, shape (n_items,)."""
        ...

    @property
    def apart(self) -> tuple[Rows, Ints, Scores]:
        """Pairs of users and items that `upper` and `limits` leave out, ascending by user, then item; may be empty.

        The third array has bounds: no exact score of a pair is larger.
        """
        ...

    def upper(self, start: int, out: Scores) -> None:
        """Write a bound of each score of the items from the place `start` on into `out`, float32, shape (n, any).

        No exact score is larger than its bound, except of the pairs `apart`.
        """
        ...

    def limits(self) -> Doubles:
        """No exact score from a chunk of CHUNK_ITEMS places on is larger, float64, shape (n, n_chunks).

        Except of the pairs `apart`.
        """
        ...

    def exact(self, rows: Rows, items: Ints) -> Scores:
        """The score of each item for the user of its row, float32, shape (n_pairs,), as in `ScoringModel.score`.

        Parameters
        ----------
        rows, items : both of shape (n_pairs,)
        """
        ...

    def follows(self, rows: Rows, leaders: Rows, floors: Doubles) -> Doubles:
        """What other items score at most for users, if they score at most `floors` for their leaders; see `sharing`.

        Parameters
        ----------
        rows, leaders, floors : of the same shape (n,); both users have equally long histories

        Returns
        -------
        float64, shape (n,); infinity where nothing can be said
        """
        ...


@runtime_checkable
class Shortlisting(Protocol):
    """A model whose best items are found without scoring all of them exactly; see `shortlist`."""

    def score(self, histories: Histories) -> Scores:
        """See `ScoringModel`."""
        ...

    def scoring(self, histories: Histories) -> Scoring:
        """What is computed once for some histories."""
        ...
