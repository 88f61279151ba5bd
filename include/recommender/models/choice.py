"""What is chosen for each data set: the family, its weight, the factors, ageing, and the item prior."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from ..config import RetrainConfig

NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Factors = Annotated[int, msgspec.Meta(ge=1, le=8_192)]


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The chosen values of a configuration; see the parameters of these names.

    knn_weight : 0 if the family is `als`, which has none; that does not read knn_similarity either
    half_life_days : of confidences; 0 is no ageing
    """

    family: Literal["blend", "als", "knn"]
    knn_weight: NotNegative
    knn_similarity: Literal["bm25", "tfidf", "cosine", "ease"]
    factors: Factors
    half_life_days: NotNegative
    prior_power: NotNegative
    prior_half_life_days: NotNegative

    @classmethod
    def of(cls, config: RetrainConfig) -> Choice:
        """The values of a configuration."""
        family = config.model.family
        return cls(
            family=family,  # type: ignore[arg-type]
            knn_weight=config.model.knn_weight if family == "blend" else 0.0,
            knn_similarity=config.knn.similarity,  # type: ignore[arg-type]
            factors=config.train.factors,
            half_life_days=config.encode.half_life_days,
            prior_power=config.prior.power,
            prior_half_life_days=config.prior.half_life_days,
        )

    def applied(self, config: RetrainConfig) -> RetrainConfig:
        """The configuration with these values, in which nothing is left to choose."""
        fixed = {name: False for name in ("fit_family", "fit_factors", "fit_ageing", "fit_similarity")}
        model = replace(config.model, family=self.family, **fixed)
        if self.family == "blend":
            model = replace(model, knn_weight=self.knn_weight)
        return replace(
            config,
            encode=replace(config.encode, half_life_days=self.half_life_days),
            model=model,
            train=replace(config.train, factors=self.factors),
            knn=replace(config.knn, similarity=self.knn_similarity),
            prior=replace(config.prior, power=self.prior_power, half_life_days=self.prior_half_life_days, fit=False),
        )

    @property
    def item_part(self) -> str:
        """What item-kNN is called: EASE where its weights are learned."""
        return "EASE" if self.knn_similarity == "ease" else "item-kNN"

    @property
    def text(self) -> str:
        """For logs and pages."""
        parts = {
            "als": f"ALS with {self.factors} factors",
            "knn": self.item_part,
            "blend": f"ALS with {self.factors} factors + {self.knn_weight:g} x {self.item_part}",
        }
        ageing = f"ageing {self.half_life_days:g} days" if self.half_life_days else "no ageing"
        prior = f"prior power {self.prior_power:g}, prior half-life {self.prior_half_life_days:g} days"
        return f"{parts[self.family]}, {ageing}, {prior}"
