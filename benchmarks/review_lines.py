"""Review lines of the three official layouts, many at once: columns of strings, joined by pyarrow without a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .review_text import pools
from .shop import BEGIN_S, DAY_S, END, Choices, Longs

STARS = np.cumsum([0.1, 0.05, 0.08, 0.17])
VERIFIED_SHARE, VOTED_SHARE, STYLED_SHARE = 0.85, 0.15, 0.4
ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", np.uint8)
STYLES = ("", '"style": {"Color:": " Black"}, ', '"style": {"Size:": " 7.0 oz", "Color:": " Blue"}, ')
ITEM_BITS = 40
ITEM_FACTOR = 0x9E3779B97F4A7C15 % (1 << ITEM_BITS)  # odd, so it permutes the numbers of ITEM_BITS bits

Strings: TypeAlias = pa.StringArray


def lines_2014(choices: Choices, rng: np.random.Generator, seed: int) -> Strings:
    """reviewerID, asin, overall, unixReviewTime in days; no verified."""
    text, n, day = pools(seed), len(choices), choices.times_s // DAY_S
    return _joined(
        '{"reviewerID": "',
        user_ids(choices.users, 1),
        '", "asin": "',
        item_ids(choices.items),
        '", "reviewerName": ',
        _of_user(text.names, choices.users),
        ', "helpful": ',
        _drawn(rng, ["[0, 0]", "[2, 3]", "[11, 14]"], n),
        ', "reviewText": ',
        _drawn(rng, text.texts, n),
        ', "overall": ',
        _stars(rng, n),
        ', "summary": ',
        _drawn(rng, text.summaries, n),
        _by_day(day, ', "unixReviewTime": {seconds}, "reviewTime": "{date}"}}\n'),
    )


def lines_2018(choices: Choices, rng: np.random.Generator, seed: int) -> Strings:
    """As in 2014, with verified, and often with votes and a style."""
    text, n, day = pools(seed), len(choices), choices.times_s // DAY_S
    return _joined(
        '{"overall": ',
        _stars(rng, n),
        _rarely(rng, VOTED_SHARE, ['"vote": "3", ', '"vote": "12", '], n, first=", "),
        '"verified": ',
        _verified(rng, n),
        _by_day(day, ', "reviewTime": "{date}", "reviewerID": "'),
        user_ids(choices.users, 1),
        '", "asin": "',
        item_ids(choices.items),
        '", ',
        _rarely(rng, STYLED_SHARE, list(STYLES[1:]), n),
        '"reviewerName": ',
        _of_user(text.names, choices.users),
        ', "reviewText": ',
        _drawn(rng, text.texts, n),
        ', "summary": ',
        _drawn(rng, text.summaries, n),
        _by_day(day, ', "unixReviewTime": {seconds}}}\n'),
    )


def lines_2023(choices: Choices, rng: np.random.Generator, seed: int) -> Strings:
    """user_id, parent_asin, rating, timestamp in milliseconds, verified_purchase."""
    text, n, item = pools(seed), len(choices), item_ids(choices.items)
    return _joined(
        '{"rating": ',
        _stars(rng, n),
        ', "title": ',
        _drawn(rng, text.summaries, n),
        ', "text": ',
        _drawn(rng, text.texts, n),
        ', "images": [], "asin": "',
        item,
        '", "parent_asin": "',
        item,
        '", "user_id": "A',
        user_ids(choices.users, 2),
        '", "timestamp": ',
        pc.cast(pa.array(choices.times_s * 1000 + rng.integers(0, 1000, n)), pa.string()),
        _drawn(rng, [', "helpful_vote": 0', ', "helpful_vote": 3'], n),
        ', "verified_purchase": ',
        _verified(rng, n),
        "}\n",
    )


LAYOUTS: Mapping[str, Callable[[Choices, np.random.Generator, int], Strings]] = MappingProxyType(
    {"2014": lines_2014, "2018": lines_2018, "2023": lines_2023}
)


def user_ids(users: np.ndarray, n_words: int) -> Strings:
    """`A` and 13 characters a word, which look random; different users have different ids."""
    words = [_mixed(users.astype(np.uint64))]
    words += [_mixed(words[-1]) for _ in range(n_words - 1)]
    return _spelled(b"A", words, 13)


def item_ids(items: np.ndarray) -> Strings:
    """`B0` and 8 characters, likewise."""
    word = (items.astype(np.uint64) + np.uint64(1)) * np.uint64(ITEM_FACTOR) % np.uint64(1 << ITEM_BITS)
    return _spelled(b"B0", [word], ITEM_BITS // 5)


def _mixed(word: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele, Lea, Flood, 2014), a permutation of the 64-bit numbers."""
    word = word + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(word ^ (word >> np.uint64(31)))


def _spelled(prefix: bytes, words: list[np.ndarray], n_digits: int) -> Strings:
    """The prefix and the words in base 32."""
    n, width = len(words[0]), len(prefix) + n_digits * len(words)
    shifts = np.arange(0, 5 * n_digits, 5, dtype=np.uint64)
    data = np.empty((n, width), dtype=np.uint8)
    data[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    for at, word in enumerate(words):
        start = len(prefix) + at * n_digits
        data[:, start : start + n_digits] = ALPHABET[(word[:, None] >> shifts) & np.uint64(31)]
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data))


def _joined(*parts: str | Strings) -> Strings:
    """The parts of each line, joined."""
    columns = [pa.scalar(part) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*columns, "")


def _drawn(rng: np.random.Generator, pool: Strings | list[str], n: int) -> Strings:
    pool = pa.array(pool, pa.string()) if isinstance(pool, list) else pool
    return pool.take(pa.array(rng.integers(0, len(pool), n, dtype=np.int32)))


def _rarely(rng: np.random.Generator, share: float, pool: list[str], n: int, first: str = "") -> Strings:
    """One of the pool with a probability, else nothing; after `first` either way."""
    chosen = np.where(rng.random(n) < share, rng.integers(1, len(pool) + 1, n), 0)
    return pa.array([first + each for each in ("", *pool)]).take(pa.array(chosen))


def _of_user(pool: Strings, users: np.ndarray) -> Strings:
    return pool.take(pa.array(users % len(pool)))


def _stars(rng: np.random.Generator, n: int) -> Strings:
    chosen = np.searchsorted(STARS, rng.random(n), side="right")
    return pa.array(["1.0", "2.0", "3.0", "4.0", "5.0"]).take(pa.array(chosen))


def _verified(rng: np.random.Generator, n: int) -> Strings:
    return pa.array(["false", "true"]).take(pa.array((rng.random(n) < VERIFIED_SHARE).astype(np.int8)))


def _by_day(days: Longs, form: str) -> Strings:
    """A text for each day; `form` has {date}, as in `09 4, 2015`, and {seconds}."""
    return _day_texts(form).take(pa.array(days - BEGIN_S // DAY_S))


@cache
def _day_texts(form: str) -> Strings:
    """Those of all days of the shop."""
    days = range(BEGIN_S // DAY_S, int(END.timestamp()) // DAY_S + 1)
    dates = np.array(days).astype("datetime64[D]").tolist()
    texts = [
        form.format(date=f"{date:%m} {date.day}, {date.year}", seconds=day * DAY_S)
        for day, date in zip(days, dates, strict=True)
    ]
    return pa.array(texts)
