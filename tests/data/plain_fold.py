"""The fold once more, row by row in plain Python: what every faster one must equal, byte by byte."""

from collections import Counter

import numpy as np

from include.recommender.config import EncodeConfig
from include.recommender.data.encoding import EncodedFold
from include.recommender.data.reviews import Reviews
from include.recommender.models.confidence import DAY_S

Row = tuple[int, int, int, float, int]


def rows_of(reviews: Reviews) -> list[Row]:
    names = ("user", "item", "time", "rating", "verified")
    return list(zip(*(getattr(reviews, name).tolist() for name in names), strict=True))


def reviews_of(rows: list[Row]) -> Reviews:
    types = {"user": np.int32, "item": np.int32, "time": np.int64, "rating": np.float32, "verified": np.int8}
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    return Reviews(**{name: np.array(values, types[name]) for name, values in zip(types, columns, strict=True)})


def before(rows: list[Row], instant_s: int) -> list[Row]:
    return [row for row in rows if row[2] < instant_s]


def deduplicate(rows: list[Row]) -> list[Row]:
    """The earliest of each pair, of two at one instant the lower rating; verified if any was."""
    same: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        same.setdefault(row[:2], []).append(row)
    return [(*pair, *min(row[2:4] for row in same[pair]), max(row[4] for row in same[pair])) for pair in sorted(same)]


def split_time(rows: list[Row], fraction: float) -> int:
    times = sorted(row[2] for row in rows)
    if fraction == 0:
        return times[-1] + 1
    return times[min(len(times) - 1, round(len(times) * (1 - fraction)))]


def frequent(rows: list[Row], min_user: int, min_item: int) -> tuple[list[Row], int]:
    rounds = 0
    while True:
        users, items = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
        kept = [row for row in rows if users[row[0]] >= min_user and items[row[1]] >= min_item]
        if len(kept) == len(rows):
            return rows, rounds
        rows, rounds = kept, rounds + 1


def confidence(row: Row, split_s: int, config: EncodeConfig) -> float:
    w = (config.unknown_weight, config.unverified_weight, config.verified_weight)[row[4] + 1]
    if config.rating_weight > 0:
        w *= max(0.0, 1.0 + config.rating_weight * (row[3] - 3.0) / 2.0)
    if config.half_life_days > 0:
        faded = float(np.exp2(-(max(split_s - row[2], 0) / DAY_S) / config.half_life_days))
        w *= config.age_floor + (1.0 - config.age_floor) * faded
    return 1.0 + config.alpha * w


def plain_fold(reviews: Reviews, as_of_s: int, config: EncodeConfig) -> EncodedFold | None:
    """The fold; None where there is no interaction, no train part or nobody to judge."""
    known = before(rows_of(reviews), as_of_s)
    pairs = deduplicate(known)
    if not pairs:
        return None
    split_s = split_time(pairs, config.holdout_fraction)
    early = deduplicate(before(known, split_s)) if config.holdout_fraction else pairs
    held = [row for row in pairs if row[2] >= split_s]
    train, rounds = frequent(early, config.min_user_interactions, config.min_item_interactions)
    users, items = sorted({row[0] for row in train}), sorted({row[1] for row in train})
    judged = [row for row in held if row[0] in users]
    if not train or (held and not judged):
        return None
    histories, holdouts = Counter(row[0] for row in train), Counter(row[0] for row in judged)
    columns = reviews_of(train)
    stats = {
        "reviews": len(reviews),
        "after_as_of": len(reviews) - len(known),
        "repeated": len(known) - len(pairs),
        "interactions": len(pairs),
        "first_s": min(row[2] for row in pairs),
        "last_s": max(row[2] for row in pairs),
        "train_dropped_rare": len(early) - len(train),
        "filter_rounds": rounds,
        "split_s": split_s,
        "train": len(train),
        "train_users": len(users),
        "train_single_users": sum(sum(row[0] == user for row in train) == 1 for user in users),
        "train_items": len(items),
        "density": len(train) / (len(users) * len(items)),
        **{
            name: sum(row[4] == kind for row in train)
            for name, kind in (("verified", 1), ("unverified", 0), ("verified_unknown", -1))
        },
        "holdout": len(held),
        "holdout_users": len({row[0] for row in held}),
        "holdout_items": len({row[1] for row in held}),
        "cold_users": len({row[0] for row in held} - set(users)),
        "cold_items": len({row[1] for row in held} - set(items)),
        "holdout_of_cold_users": len(held) - len(judged),
        "holdout_on_cold_items": sum(row[1] not in items for row in held),
        "judged_users": len(holdouts),
        "judged_interactions": len(judged),
        "judged_on_cold_items": sum(row[1] not in items for row in judged),
    }
    return EncodedFold(
        user_codes=np.array(users, np.int32),
        item_codes=np.array(items, np.int32),
        indptr=np.cumsum([0, *(histories[user] for user in users)], dtype=np.int64),
        indices=np.array([items.index(row[1]) for row in train], np.int32),
        confidence=np.array([confidence(row, split_s, config) for row in train], np.float32),
        times=columns.time,
        ratings=columns.rating,
        verified=columns.verified,
        holdout_indptr=np.cumsum([0, *(holdouts[user] for user in users if user in holdouts)], dtype=np.int64),
        holdout_items=np.array([row[1] for row in judged], np.int32),
        holdout_rows=np.array([users.index(user) for user in users if user in holdouts], np.int32),
        stats=stats,
    )
