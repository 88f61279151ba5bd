"""The split times inside the train part at which trials are judged, without the gate's holdout."""

from __future__ import annotations

from ..config import EncodeConfig
from ..data.encoding import EncodedFold, frequent
from ..data.reviews import Reviews
from ..data.split import Pairs, split_time
from ..errors import DataError


def inner_instants(reviews: Reviews, as_of_s: int, config: EncodeConfig, n: int) -> list[int]:
    """Return n + 1 instants, ascending, in seconds; the last is the split time of a retraining at `as_of_s`.

    Each is the split time of the next one: the holdout of a fold begins where the fold before it ends. So no
    interaction is held out twice, and none lies in the holdout of that retraining.

    Raises
    ------
    DataError
        Train is too short to be split that often.
    """
    times = Pairs.before(reviews, as_of_s).first_s
    instants: list[int] = []
    try:
        for _ in range(n + 2):
            instants.append(split_time(times, config.holdout_fraction))
            times = times[times < instants[-1]]
    except DataError as error:
        raise DataError(
            f"Train can be split {max(0, len(instants) - 1)} times, and splits={n} needs {n + 1}. Take fewer splits, a "
            f"smaller holdout_fraction, or bring a longer history. ({error})"
        ) from error
    return instants[n::-1]


def without_rare(fold: EncodedFold, config: EncodeConfig) -> EncodedFold:
    """The fold's train part without rare users and items, in the same rows and columns.

    A user or item that is left out has an empty row or column. So the judged users are the same for all trials; without
    a history they get the prior.
    """
    if config.min_user_interactions <= 1 and config.min_item_interactions <= 1:
        return fold
    rows = fold.histories.rows
    return fold.only(frequent(rows, fold.indices, config.min_user_interactions, config.min_item_interactions)[0])
