"""Simulated holdouts with a known truth: per-user recalls of the gate's models.

A world draws users independently. Their recall has the shape that real holdouts have: nearly everybody scores 0, most
have one held-out item, and users with a hit have one or two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
from scipy.stats import norm

from include.recommender.evaluation.gate import CANDIDATE, CHAMPION
from include.recommender.evaluation.metrics import Floats

POPULARITIES = tuple(f"popularity_{name}" for name in ("all_time", "30d", "90d", "365d", "decayed"))
STRONGEST = "popularity_decayed"
BASE_RECALL = 0.02
MOST_HELD, HELD_EXPONENT = 30, 2.0
HEAVY = 3
# Latent correlations; they give about the correlations of hits that `describe` shows for real reviews.
AMONG_POPULARITIES, AMONG_MODELS, MODEL_TO_POPULARITY = 0.93, 0.95, 0.45
ALIKE = (1.0,) * 5
AS_FOUND = (0.25, 1.0, 0.93, 0.57, 1.0)
ONE_STRONG = (0.25, 0.5, 0.5, 0.5, 1.0)


class RecallWorld(Protocol):
    """A distribution of users."""

    def draw(self, rng: np.random.Generator, n_users: int) -> dict[str, Floats]:
        """Model -> Recall@K of each user, float64, shape (n_users,)."""


@dataclass(frozen=True)
class Generated:
    """Users with 1 to MOST_HELD held-out items, each hit or missed by every model: a Gaussian copula.

    recalls : model -> its true Recall@K, the mean over all users that could be drawn
    only_heavy : models that hit nothing for users with fewer than HEAVY held-out items; their true recall is the
        same, in smaller and more frequent pieces
    """

    recalls: Mapping[str, float]
    only_heavy: Sequence[str] = ()

    def draw(self, rng: np.random.Generator, n_users: int) -> dict[str, Floats]:
        """See `RecallWorld`."""
        n_held = 1 + np.searchsorted(self._held, rng.random(n_users))
        latent = self._mixing @ rng.standard_normal((len(self.recalls), int(n_held.sum())), dtype=np.float32)
        hits = latent > self._thresholds[:, None]
        for row, name in enumerate(self.recalls):
            if name in self.only_heavy:
                hits[row] &= np.repeat(n_held >= HEAVY, n_held)
        counts = np.add.reduceat(hits, np.cumsum(n_held) - n_held, axis=1, dtype=np.int64)
        return dict(zip(self.recalls, counts / n_held, strict=True))

    @cached_property
    def _held(self) -> Floats:
        """Cumulated shares of users with 1, 2, ... held-out items, without the last."""
        weights = np.arange(1, MOST_HELD + 1) ** -HELD_EXPONENT
        return np.asarray(np.cumsum(weights)[:-1] / weights.sum())

    @cached_property
    def _thresholds(self) -> np.ndarray:
        heavy_share = 1 - self._held[HEAVY - 2]
        rates = [recall / (heavy_share if name in self.only_heavy else 1) for name, recall in self.recalls.items()]
        return np.asarray(norm.isf(rates), dtype=np.float32)

    @cached_property
    def _mixing(self) -> np.ndarray:
        popular = np.array([name.startswith("popularity") for name in self.recalls])
        correlation = np.full((len(popular), len(popular)), MODEL_TO_POPULARITY)
        correlation[np.ix_(popular, popular)] = AMONG_POPULARITIES
        correlation[np.ix_(~popular, ~popular)] = AMONG_MODELS
        np.fill_diagonal(correlation, 1.0)
        return np.linalg.cholesky(correlation).astype(np.float32)


@dataclass(frozen=True)
class Resampled:
    """Users drawn with replacement from really judged ones, with candidate and strongest popularity swapped by chance.

    A swap with probability 1/2 makes the two alike and leaves every user's pair of recalls as it was (the sign-flip
    null); a smaller one gives the candidate the requested lift.
    """

    recalls: Mapping[str, Floats]
    lift: float

    def draw(self, rng: np.random.Generator, n_users: int) -> dict[str, Floats]:
        """See `RecallWorld`."""
        rows = rng.integers(0, len(self.recalls[CANDIDATE]), n_users)
        drawn = {name: values[rows] for name, values in self.recalls.items()}
        swapped = rng.random(n_users) < self.swap_share
        candidate, other = drawn[CANDIDATE], drawn[self.strongest]
        drawn[CANDIDATE] = np.where(swapped, other, candidate)
        drawn[self.strongest] = np.where(swapped, candidate, other)
        return drawn

    @property
    def strongest(self) -> str:
        """The popularity with the largest mean."""
        return max((name for name in self.recalls if name != CANDIDATE), key=lambda name: self.recalls[name].mean())

    @property
    def swap_share(self) -> float:
        """Probability p with c - p (c - o) = (1 + lift) (o + p (c - o)), for the means c and o."""
        c, o = self.recalls[CANDIDATE].mean(), self.recalls[self.strongest].mean()
        share = float((c - (1 + self.lift) * o) / ((c - o) * (2 + self.lift)))
        if not 0 <= share <= 1:
            raise ValueError(f"lift {self.lift:+.0%}: these reviews reach {c / o - 1:+.1%} at most")
        return share


def against_popularity(lift: float, shape: Sequence[float] = AS_FOUND, only_heavy: Sequence[str] = ()) -> Generated:
    """A candidate that is better than the strongest popularity by `lift`; `shape` has each one's share of that."""
    popular = {name: BASE_RECALL * share for name, share in zip(POPULARITIES, shape, strict=True)}
    return Generated({CANDIDATE: BASE_RECALL * (1 + lift), **popular}, only_heavy)


def against_champion(lift: float) -> Generated:
    """A candidate against a champion, both so far above popularity that it does not decide: five times as good."""
    popular = {name: BASE_RECALL / 2 * share for name, share in zip(POPULARITIES, AS_FOUND, strict=True)}
    return Generated({CANDIDATE: 2.5 * BASE_RECALL * (1 + lift), CHAMPION: 2.5 * BASE_RECALL, **popular})


def describe(recalls: Mapping[str, Floats]) -> str:
    """What makes recalls realistic: means, shares of users with a hit, and the correlations of having one."""
    users = pd.DataFrame(dict(recalls))
    hits = (users > 0).astype(float)
    table = pd.DataFrame({"recall": users.mean(), "users hit": hits.mean()}).join(hits.corr())
    formats = {"recall": "{:.4f}".format, "users hit": "{:.1%}".format}
    return table.to_string(float_format="{:.2f}".format, formatters=formats)
