"""A generated shop with known tastes: the probability of every choice at every instant.

Users and items lie in a few clusters of a low-dimensional taste space. An item appears on some day, rises, and fades;
users come in bursts. A user's chance to choose an item at an instant is proportional to

    popularity(item, instant) * exp(SHARPNESS * <user taste, item taste>)

among the items not chosen before, so a recommender can gain by learning taste, recent popularity, or both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
STEP_S = 7 * DAY_S  # popularity is constant within a step
FIRST = datetime(2017, 4, 1, tzinfo=UTC)
LAST = datetime(2018, 10, 1, tzinfo=UTC)
SEED = 2018

N_USERS, N_ITEMS, N_CLUSTERS, N_DIMENSIONS = 3_000, 1_200, 16, 8
SHARPNESS = 6.0
SPREAD = 0.2  # of tastes around their cluster, a dimension
BURSTS_PER_YEAR, REVIEWS_PER_BURST, BURST_DAYS = 5.0, 4.0, 9.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """The truth behind the sample reviews.

    user_taste, item_taste : float64, shape (n_users, n_dimensions) and (n_items, n_dimensions), unit vectors
    appeal : float64, shape (n_items,), height of an item's popularity at its peak
    born_s, rise_s : float64, shape (n_items,), when an item appears (unix seconds) and how long it takes to its peak
    joined_s : float64, shape (n_users,), when a user comes for the first time
    """

    user_taste: Floats
    item_taste: Floats
    appeal: Floats
    born_s: Floats
    rise_s: Floats
    joined_s: Floats

    @property
    def user_ids(self) -> list[str]:
        """Reviewer ids, in the order of the rows of `scores`."""
        return [f"GENERATED{user:06}" for user in range(len(self.user_taste))]

    @property
    def item_ids(self) -> list[str]:
        """Item ids, in the order of the columns of `scores`."""
        return [f"GEN{item:07}" for item in range(len(self.item_taste))]

    def popularity(self, at_s: float) -> Floats:
        """How present each item is at an instant: 0 before it appears, then x * exp(1 - x) of its age over its rise."""
        age = np.maximum(at_s - self.born_s, 0.0) / self.rise_s
        return self.appeal * age * np.exp(1.0 - age)

    def scores(self, at_s: float, users: Ints | None = None) -> Floats:
        """Log of the choice weights at an instant, float64, shape (n_users, n_items); -inf before an item appears.

        Ranked by these, unseen items first, no recommender can do better in expectation.
        """
        taste = self.user_taste if users is None else self.user_taste[users]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.popularity(at_s)) + SHARPNESS * (taste @ self.item_taste.T))


@dataclass(frozen=True)
class Choices:
    """What was chosen, ordered by time: int64 arrays of equal length, and how well it fits (cosine, float64)."""

    users: Ints
    items: Ints
    times_s: Ints
    fit: Floats


def make_world(seed: int = SEED) -> World:
    """The same world for the same seed."""
    rng = np.random.default_rng(seed)
    centres = _unit(rng.normal(size=(N_CLUSTERS, N_DIMENSIONS)))
    share = _shares(rng, N_CLUSTERS)
    first, last = FIRST.timestamp(), LAST.timestamp()
    return World(
        user_taste=_around(rng, centres, share, N_USERS),
        item_taste=_around(rng, centres, share, N_ITEMS),
        appeal=rng.lognormal(0.0, 0.6, N_ITEMS),
        born_s=rng.uniform(first - 500 * DAY_S, last, N_ITEMS),
        rise_s=rng.lognormal(np.log(120 * DAY_S), 0.5, N_ITEMS),
        joined_s=first + (last - first) * rng.random(N_USERS) ** 0.7,  # the shop grows, and ever faster
    )


def choose(world: World, seed: int = SEED) -> Choices:
    """All choices from FIRST to LAST, none of a (user, item) twice."""
    rng = np.random.default_rng([seed, 1])
    users, times_s = _visits(rng, world)
    steps = (times_s - int(FIRST.timestamp())) // STEP_S
    items = np.full(len(users), -1)
    chosen = np.zeros((len(world.user_taste), len(world.item_taste)), dtype=bool)
    starts = np.searchsorted(steps, np.arange(steps[-1] + 2))
    for step, (start, end) in enumerate(pairwise(starts)):
        if start < end:
            middle_s = FIRST.timestamp() + (step + 0.5) * STEP_S
            items[start:end] = _choose_in_step(rng, world, users[start:end], chosen, middle_s)
    kept = items >= 0
    users, items, times_s = users[kept], items[kept], times_s[kept]
    fit = np.einsum("ij,ij->i", world.user_taste[users], world.item_taste[items])
    return Choices(users, items, times_s, fit)


def _visits(rng: np.random.Generator, world: World) -> tuple[Ints, Ints]:
    """Who comes when: bursts of reviews around a few days of each user's time in the shop."""
    last = LAST.timestamp()
    years = (last - world.joined_s) / (365 * DAY_S)
    bursts = 1 + rng.poisson(BURSTS_PER_YEAR * years)
    owner = np.repeat(np.arange(len(bursts)), bursts)
    begins = world.joined_s[owner] + rng.random(len(owner)) * (last - world.joined_s[owner])
    sizes = rng.geometric(1 / REVIEWS_PER_BURST, len(owner))
    users = np.repeat(owner, sizes)
    times = (np.repeat(begins, sizes) + rng.exponential(BURST_DAYS * DAY_S / 2, len(users))).astype(np.int64)
    inside = np.flatnonzero(times < last)
    order = inside[np.argsort(times[inside], kind="stable")]
    return users[order], times[order]


def _choose_in_step(
    rng: np.random.Generator, world: World, users: Ints, chosen: NDArray[np.bool_], at_s: float
) -> Ints:
    """One item a visit, without replacement: exponential races (Efraimidis, Spirakis 2006); -1 for none left."""
    who, row, counts = np.unique(users, return_inverse=True, return_counts=True)
    scores = world.scores(at_s, who)
    scores[chosen[who]] = -np.inf
    scores -= np.log(rng.standard_exponential(scores.shape))
    best = _best_first(scores, int(counts.max()))
    order = np.argsort(row, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    items = best[row, place]
    items = np.where(np.isfinite(scores[row, items]), items, -1)
    chosen[users[items >= 0], items[items >= 0]] = True
    return items


def _best_first(scores: Floats, k: int) -> Ints:
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _around(rng: np.random.Generator, centres: Floats, share: Floats, size: int) -> Floats:
    cluster = rng.choice(len(centres), size, p=share)
    return _unit(centres[cluster] + SPREAD * rng.normal(size=(size, centres.shape[1])))


def _shares(rng: np.random.Generator, size: int) -> Floats:
    weights = rng.lognormal(0.0, 0.4, size)
    return np.asarray(weights / weights.sum())


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
