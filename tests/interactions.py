"""Tiny hand-written interactions."""

import numpy as np

from include.recommender.data.reviews import Reviews


def frame(*rows: tuple) -> Reviews:
    """Rows of (user, item, time[, rating[, verified]]) as coded reviews."""
    full = [(*row, *(5.0, -1)[len(row) - 3 :]) for row in rows]
    user, item, time, rating, verified = zip(*full, strict=True) if full else ((),) * 5
    return Reviews(
        user=np.array(user, dtype=np.int32),
        item=np.array(item, dtype=np.int32),
        time=np.array(time, dtype=np.int64),
        rating=np.array(rating, dtype=np.float32),
        verified=np.array(verified, dtype=np.int8),
    )
