"""Who reviewed what and when in a generated shop: long tails, popularity that moves, and tastes to be found.

The shapes are those of the Electronics reviews of 2018, raw or as a 5-core. Items are reviewed by Zipf's law. They
lie in N_CLUSTERS clusters; a user mostly stays in one of them, and reviews around a time of their own. An item appears,
rises and fades.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
EPOCH_S = 91 * DAY_S  # popularity is constant within an epoch
END = datetime(2018, 10, 1, tzinfo=UTC)
N_EPOCHS, LIFE = 60, 20
BEGIN_S = int(END.timestamp()) - N_EPOCHS * EPOCH_S
ZIPF = 0.95  # of the chances; counts then have about 0.9, as nobody reviews an item twice
N_CLUSTERS = 48
HOME_SHARE, SECOND_SHARE = 0.75, 0.15
WANDER_EPOCHS = 2.0
REDRAWN_EPOCHS = (4.0, 8.0, 16.0, 16.0)  # how far a user looks who has the drawn item already
CHUNK_USERS = 1_000_000

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How long histories are.

    reviews_an_item : the mean
    least, most : reviews of a user
    least_share : share of the users with the least; those with more by a power law
    tail : exponent of that
    """

    reviews_an_item: float
    least: int
    most: int
    least_share: float
    tail: float


RAW = Shape(reviews_an_item=27.5, least=1, most=3_000, least_share=0.7, tail=2.5)  # mean 2.1
CORE = Shape(reviews_an_item=42, least=5, most=2_000, least_share=0.61, tail=2.0)  # mean 9


@dataclass(frozen=True)
class Choices:
    """Reviews as integers: users and items int32 from 0, times int64 seconds since 1970, all of shape (n_reviews,)."""

    users: Ints
    items: Ints
    times_s: Longs

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: NDArray[np.int64] | slice) -> Choices:
        """Some of them."""
        return Choices(self.users[rows], self.items[rows], self.times_s[rows])


@dataclass(frozen=True)
class Shelves:
    """What is sold when: one row for each item and epoch in which it is there, ordered by shelf.

    A shelf is a cluster in an epoch, cluster * N_EPOCHS + epoch.

    items : int32, shape (n_rows,); upto : float64, shape (n_rows,), cumulated weights
    starts : int64, shape (n_shelves + 1,), first row of each shelf
    """

    items: Ints
    upto: Doubles
    starts: Longs

    @classmethod
    def of(cls, n_items: int, rng: np.random.Generator) -> Shelves:
        """Items that share out their Zipf weight over the epochs of their life."""
        rank = rng.permutation(n_items) + 1
        born, presence = _lives(n_items, rng)
        epoch = born[:, None] + np.arange(LIFE)
        presence[epoch >= N_EPOCHS] = 0
        presence *= (rank**-ZIPF / presence.sum(1))[:, None]
        shelf = rng.integers(0, N_CLUSTERS, n_items)[:, None] * N_EPOCHS + epoch
        items, ages = np.nonzero(presence)
        shelves, weights = shelf[items, ages], presence[items, ages]
        order = np.argsort(shelves, kind="stable")
        starts = np.searchsorted(shelves[order], np.arange(N_CLUSTERS * N_EPOCHS + 1))
        return cls(items[order].astype(np.int32), np.cumsum(weights[order]), starts)

    @cached_property
    def ends(self) -> Doubles:
        """Cumulated weight before each shelf, and of all; float64, shape (n_shelves + 1,)."""
        return np.concatenate([[0.0], self.upto])[self.starts]

    def draw_shelves(self, rng: np.random.Generator, n: int) -> Longs:
        """Shelves by the weight of what stands on them."""
        found = np.searchsorted(self.ends[1:], rng.random(n) * self.ends[-1], side="right")
        return np.asarray(np.minimum(found, len(self.ends) - 2), dtype=np.int64)

    def draw_items(self, rng: np.random.Generator, shelves: Longs) -> Ints:
        """One item of each shelf, by weight; no shelf may be empty."""
        before, after = self.ends[shelves], self.ends[shelves + 1]
        rows = np.searchsorted(self.upto, before + rng.random(len(shelves)) * (after - before), side="right")
        found: Ints = self.items[np.clip(rows, self.starts[shelves], self.starts[shelves + 1] - 1)]
        return found


def draw(n_reviews: int, seed: int, shape: Shape = RAW) -> Choices:
    """Reviews of a shop, user by user; the same for the same seed."""
    rng = np.random.default_rng([seed, n_reviews])
    shelves = Shelves.of(max(N_CLUSTERS, round(n_reviews / shape.reviews_an_item)), rng)
    sizes = history_sizes(n_reviews, shape, rng)
    # In order of their homes, as the rows that they meet then lie side by side.
    homes = np.sort(shelves.draw_shelves(rng, len(sizes)))
    parts = list(_by_chunks(shelves, homes, sizes, rng))
    return Choices(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("users", "items", "times_s")))


def history_sizes(n_reviews: int, shape: Shape, rng: np.random.Generator) -> Longs:
    """Reviews of each user, int64, adding up to n_reviews."""
    more = np.arange(2, shape.most - shape.least + 2) ** -shape.tail
    shares = np.concatenate([[shape.least_share], (1 - shape.least_share) * more / more.sum()])
    upto, found = np.cumsum(shares), np.zeros(0, dtype=np.int64)
    while found.sum() < n_reviews:
        drawn = np.searchsorted(upto[:-1], rng.random(1_000 + n_reviews // 8), side="right")
        found = np.concatenate([found, shape.least + drawn])
    last = int(np.searchsorted(np.cumsum(found), n_reviews))
    found = found[: last + 1]
    found[last] -= found.sum() - n_reviews
    return found


def _lives(n_items: int, rng: np.random.Generator) -> tuple[Longs, Doubles]:
    """The epoch in which each item appears, and its presence from then on, x * exp(1 - x) of its age.

    int64, shape (n_items,), and float64, shape (n_items, LIFE).
    """
    # The shop grows: more items appear later.
    born = ((N_EPOCHS - 1) * rng.random(n_items) ** 0.6).astype(np.int64)
    x = (np.arange(LIFE) + 0.5) / rng.lognormal(np.log(3), 0.5, n_items)[:, None]
    return born, x * np.exp(1 - x)


def _by_chunks(shelves: Shelves, homes: Longs, sizes: Longs, rng: np.random.Generator) -> Iterator[Choices]:
    for start in range(0, len(sizes), CHUNK_USERS):
        some = slice(start, start + CHUNK_USERS)
        users = np.repeat(np.arange(start, start + len(sizes[some]), dtype=np.int32), sizes[some])
        home = np.repeat(homes[some], sizes[some])
        place = _visits(shelves, home, sizes[some], rng)
        items = shelves.draw_items(rng, place)
        for wander in REDRAWN_EPOCHS:
            again = _repeated(users, items)
            place[again] = _near(shelves, place[again], rng, wander)
            items[again] = shelves.draw_items(rng, place[again])
        times_s = BEGIN_S + (place % N_EPOCHS) * EPOCH_S + rng.integers(0, EPOCH_S, len(place))
        yield Choices(users, items, times_s)


def _visits(shelves: Shelves, home: Longs, sizes: Longs, rng: np.random.Generator) -> Longs:
    """The shelf of each review: the first of a user is at home, others stay in the cluster or not, and around its time.

    So users with one review follow the weights exactly.

    Parameters
    ----------
    home : of the user of each review; sizes : reviews of each user
    """
    second = np.repeat(rng.integers(0, N_CLUSTERS, len(sizes)), sizes)
    mood = rng.random(len(home))
    cluster = np.where(mood < HOME_SHARE, home // N_EPOCHS, second)
    cluster = np.where(mood < HOME_SHARE + SECOND_SHARE, cluster, rng.integers(0, N_CLUSTERS, len(home)))
    place = _near(shelves, cluster * N_EPOCHS + home % N_EPOCHS, rng, WANDER_EPOCHS)
    place = np.where(shelves.starts[place] == shelves.starts[place + 1], home, place)
    first = np.cumsum(sizes) - sizes
    place[first] = home[first]
    return place


def _near(shelves: Shelves, place: Longs, rng: np.random.Generator, wander: float) -> Longs:
    """Shelves of the same cluster at about the same time; the given ones where those are empty."""
    cluster, epoch = np.divmod(place, N_EPOCHS)
    epoch = np.clip(epoch + np.rint(rng.laplace(0, wander, len(place))).astype(np.int64), 0, N_EPOCHS - 1)
    near = cluster * N_EPOCHS + epoch
    return np.where(shelves.starts[near] == shelves.starts[near + 1], place, near)


def _repeated(users: Ints, items: Ints) -> Longs:
    """Rows whose user has the same item in an earlier row."""
    pairs = users.astype(np.int64) << 32 | items
    order = np.argsort(pairs, kind="stable")
    return np.sort(order[1:][np.diff(pairs[order]) == 0])
