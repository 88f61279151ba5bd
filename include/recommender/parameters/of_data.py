"""From review files to interactions, a holdout and confidences."""

from __future__ import annotations

from dataclasses import dataclass

from .definition import MOST_DAYS, Range, Section, parameter
from .kinds import Flag, Number, Whole

MIB = 1 << 20
_SHARE = Number(0.0, 1.0)
_WEIGHT = Number(0.0, 100.0)
_LEAST_COUNT = Whole(1, 1_000_000)


@dataclass(frozen=True, kw_only=True)
class ParseConfig(Section, key="parse", heading="Parsing"):
    """How review files become interactions."""

    max_bad_share: float = parameter(
        0.01,
        _SHARE,
        "Largest share of unusable lines; above it the parse fails. Raise it only for a source with known bad lines.",
    )
    max_line_bytes: int = parameter(
        4 * MIB,
        Whole(1024, 64 * MIB),
        "Longest review line in bytes; a longer one goes to quarantine. Raise it if quarantine holds genuine reviews.",
    )
    max_expansion: float = parameter(
        300.0,
        Number(2.0, 10_000.0),
        "Largest ratio of unpacked to packed bytes of a gzip file, a guard against decompression bombs. Raise it if a "
        "genuine file is refused.",
    )


@dataclass(frozen=True, kw_only=True)
class QualityConfig(Section, key="quality", heading="Data quality"):
    """How far a snapshot may differ from the one before it."""

    check_quality: bool = parameter(
        True,
        Flag(),
        "Compare the snapshot with the one before it, and stop the run if the data have collapsed. Turn it off for one "
        "run after you have checked such a snapshot.",
    )
    max_drop: float = parameter(
        0.2,
        _SHARE,
        "Largest relative loss of reviews, users, items or time range since the snapshot before. Raise it if reviews "
        "are deleted on purpose.",
    )
    max_share_shift: float = parameter(
        0.1,
        _SHARE,
        "Largest shift of the verified share and of the rating mix since the snapshot before. Raise it if the mix of "
        "sources changes on purpose.",
    )
    max_bad_rise: float = parameter(
        0.005,
        _SHARE,
        "Largest rise of the share of unusable lines since the snapshot before. Lower it to notice a damaged export "
        "earlier.",
    )


@dataclass(frozen=True, kw_only=True)
class EncodeConfig(Section, key="encode", heading="Encoding and split"):
    """How interactions become a confidence matrix and a holdout."""

    holdout_fraction: float = parameter(
        0.1,
        Number(0.001, 0.5),
        "Share of the interactions before as_of, the newest ones, that is held out for judging. Raise it if too few "
        "users are judged; train then gets smaller.",
    )
    alpha: float = parameter(
        100.0,
        Number(0.0, 10_000.0),
        "Confidence of an interaction is 1 + alpha * weight. A larger alpha makes interactions count more against "
        "items without one. Let recommender_tune find a value for your data.",
        search=Range(5, 400, log=True),
    )
    half_life_days: float = parameter(
        120.0,
        Number(0.0, MOST_DAYS),
        "Age in days, counted back from the split time, after which the part of a weight above age_floor has halved. "
        "Lower it if tastes change fast; 0 turns ageing off.",
        search=Range(20, 2000, log=True),
    )
    age_floor: float = parameter(
        0.1,
        _SHARE,
        "Share of its weight that an interaction keeps at any age. Raise it if old interactions still show what a user "
        "likes. Without ageing it has no effect.",
        search=Range(0.001, 0.5, log=True),
    )
    verified_weight: float = parameter(
        1.0,
        _WEIGHT,
        "Weight of a verified purchase. Leave it at 1 and change the two weights below, which are relative to it.",
        search=Range(0.5, 2),
    )
    unverified_weight: float = parameter(
        0.5,
        _WEIGHT,
        "Weight of a review without a verified purchase. Raise it if such reviews are as reliable as purchases.",
        search=Range(0.05, 1),
    )
    unknown_weight: float = parameter(
        0.8,
        _WEIGHT,
        "Weight of a review whose layout has no verified flag. Change it if such files are mixed with others.",
        search=Range(0.2, 1.5),
    )
    rating_weight: float = parameter(
        0.0,
        _SHARE,
        "Influence of the rating: the weight is multiplied by 1 + rating_weight * (rating - 3) / 2. Raise it if "
        "interactions with high ratings should count more; 0 ignores ratings.",
        search=Range(0, 1),
    )
    min_user_interactions: int = parameter(
        1,
        _LEAST_COUNT,
        "Least number of train interactions of a user; users with fewer are left out of train. Raise it to save time "
        "and memory on large data.",
        search=Range(1, 4),
    )
    min_item_interactions: int = parameter(
        1,
        _LEAST_COUNT,
        "Least number of train interactions of an item; items with fewer are left out of train and not recommended. "
        "Raise it if rare items are recommended badly, or to save memory.",
        search=Range(1, 8),
    )
