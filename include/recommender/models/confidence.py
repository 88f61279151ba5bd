"""The confidence of interactions: one function for training and for every history."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import EncodeConfig

DAY_S = 86_400
# Interactions at once: their terms are float64, and would take more memory than everything else.
BLOCK = 1 << 18


def confidences(
    times: np.ndarray[Any, np.dtype[np.int64]],
    ratings: np.ndarray[Any, np.dtype[np.float32]],
    verified: np.ndarray[Any, np.dtype[np.int8]],
    split_s: int,
    config: EncodeConfig,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """1 + alpha * w (Hu, Koren, Volinsky 2008), w = weight(verified) * rating term * age term.

    The age term is age_floor + (1 - age_floor) * 2^(-age at the split time / half-life). Without a floor, old
    interactions would weigh almost nothing, even for users who have no others. An interaction after the split time has
    age 0.
    The rating term is 1 + rating_weight * (rating - 3) / 2, at least 0: a bad rating is less evidence of interest,
    never evidence against it.

    Parameters
    ----------
    times, ratings, verified : of each interaction, shape (n,); seconds, stars, and 1, 0 or -1 (not known)
    split_s : seconds

    Returns
    -------
    float32, shape (n,), every value at least 1: a value below 1 would count less than an unknown item
    """
    confidence = np.empty(len(times), dtype=np.float32)
    for start in range(0, len(times), BLOCK):
        part = slice(start, start + BLOCK)
        w = _weights(times[part], ratings[part], verified[part], split_s, config)
        confidence[part] = 1.0 + config.alpha * w
    assert confidence.min(initial=1.0) >= 1.0
    return confidence


def _weights(
    times: np.ndarray[Any, np.dtype[np.int64]],
    ratings: np.ndarray[Any, np.dtype[np.float32]],
    verified: np.ndarray[Any, np.dtype[np.int8]],
    split_s: int,
    config: EncodeConfig,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    weights = np.array([config.unknown_weight, config.unverified_weight, config.verified_weight])
    w: np.ndarray[Any, np.dtype[np.float64]] = weights[verified.astype(np.int64) + 1]
    if config.rating_weight > 0:
        w = w * np.maximum(0.0, 1.0 + config.rating_weight * (ratings.astype(np.float64) - 3.0) / 2.0)
    if config.half_life_days > 0:
        faded = np.exp2(-(np.maximum(split_s - times, 0) / DAY_S) / config.half_life_days)
        w = w * (config.age_floor + (1.0 - config.age_floor) * faded)
    return w
