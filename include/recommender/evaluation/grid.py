"""The models that are tried: points of a grid, with the configured one among them."""

from __future__ import annotations

from typing import NamedTuple

from ..config import PriorConfig, RetrainConfig
from ..models.choice import Choice
from ..models.model import KNN_ALONE
from ..parameters.definition import MOST_DAYS
from ..parameters.of_models import ALS, BLEND, EASE, KNN, MOST_FACTORS, SHORTEST_HALF_LIFE_DAYS

# Of the configured factors; more are tried as long as they are better.
FACTORS = (1, 2, 4)
# Of item-kNN in the sum; 0 is ALS alone, and KNN_ALONE item-kNN alone.
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, KNN_ALONE)
POWERS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5)
# Half-life of confidences that stands for none.
NO_AGEING = 0.0
# Of the configured half-life of the prior.
HALF_LIVES = (0.25, 0.5, 1.0, 2.0, 4.0)


class Point(NamedTuple):
    """One model that is tried.

    half_life_days : of confidences; 0 is no ageing
    similarity, weight : of item-kNN
    """

    factors: int
    half_life_days: float
    similarity: str
    weight: float
    prior_half_life_days: float
    power: float

    def choice(self) -> Choice:
        """The values of the configuration that make it."""
        family = ALS if self.weight == 0 else KNN if self.weight == KNN_ALONE else BLEND
        return Choice(
            family=family,  # type: ignore[arg-type]
            knn_weight=self.weight if family == BLEND else 0.0,
            knn_similarity=self.similarity,  # type: ignore[arg-type]
            factors=self.factors,
            half_life_days=self.half_life_days,
            prior_power=self.power,
            prior_half_life_days=self.prior_half_life_days,
        )


def configured(config: RetrainConfig) -> Point:
    """The point of the configuration."""
    weights = {ALS: 0.0, KNN: KNN_ALONE}
    weight = weights.get(config.model.family, config.model.knn_weight)
    return Point(
        factors=config.train.factors,
        half_life_days=config.encode.half_life_days,
        similarity=config.knn.similarity,
        weight=weight,
        prior_half_life_days=config.prior.half_life_days,
        power=config.prior.power,
    )


class Axes(NamedTuple):
    """The values that are tried, by the fields of `Point`. Each holds the configured value, those of fits first."""

    factors: list[int]
    half_lives_days: list[float]
    similarities: list[str]
    weights: list[float]
    prior_half_lives_days: list[float]
    powers: list[float]


def axes(config: RetrainConfig) -> Axes:
    """The values that are tried with a configuration."""
    own, prior, model = configured(config), config.prior, config.model
    weights = sorted({*WEIGHTS, own.weight}) if model.fit_family else [own.weight]
    factors = [times * own.factors for times in FACTORS if times * own.factors <= MOST_FACTORS]
    ageing, similarities = [own.half_life_days, NO_AGEING], [own.similarity, EASE]
    learns = model.fit_similarity and any(weights)
    return Axes(
        factors=factors if model.fit_factors else [own.factors],
        half_lives_days=list(dict.fromkeys(ageing if model.fit_ageing else ageing[:1])),
        similarities=list(dict.fromkeys(similarities if learns else similarities[:1])),
        weights=weights,
        prior_half_lives_days=_half_lives(prior) if prior.fit else [prior.half_life_days],
        powers=sorted({*POWERS, prior.power}) if prior.fit else [prior.power],
    )


def _half_lives(prior: PriorConfig) -> list[float]:
    tried = (prior.half_life_days * times for times in HALF_LIVES)
    return sorted({min(max(SHORTEST_HALF_LIFE_DAYS, days), MOST_DAYS) for days in tried})
