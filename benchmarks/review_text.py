"""Texts that look like reviews to a JSON reader and to a packer: words by Zipf's law, log-normal lengths, escapes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

# Larger than the 32 KiB in which gzip finds repetitions, so that a text which comes again packs no better.
N_TEXTS, N_SUMMARIES, N_NAMES, N_WORDS = 24_000, 8_000, 20_000, 12_000
LETTERS = "eeeetttaaooiinnsshhrrddlucmfwypvbgk"
WORDS_LOG_MEAN, WORDS_LOG_SIGMA, MOST_WORDS = 3.17, 1.1, 1_500


@dataclass(frozen=True)
class Pools:
    """JSON strings with their quotes, to draw from: pyarrow string arrays."""

    texts: pa.StringArray
    summaries: pa.StringArray
    names: pa.StringArray


@cache
def pools(seed: int) -> Pools:
    """The same texts for the same seed."""
    rng = np.random.default_rng([seed, 1])
    words = np.array(["".join(rng.choice(list(LETTERS), rng.integers(1, 10))) for _ in range(N_WORDS)])
    lengths = np.clip(rng.lognormal(WORDS_LOG_MEAN, WORDS_LOG_SIGMA, N_TEXTS), 1, MOST_WORDS).astype(int)
    texts = [text + end for text, end in zip(_drawn(rng, words, lengths), _endings(rng, N_TEXTS), strict=True)]
    summaries = [text.capitalize() for text in _drawn(rng, words, rng.integers(1, 7, N_SUMMARIES))]
    summaries[: N_SUMMARIES // 3] = ["Five Stars"] * (N_SUMMARIES // 3)
    names = [text.title() for text in _drawn(rng, words, rng.integers(1, 4, N_NAMES))]
    return Pools(_json(texts), _json(summaries), _json(names))


def _drawn(rng: np.random.Generator, words: np.ndarray, lengths: np.ndarray) -> list[str]:
    shares = 1 / np.arange(1, len(words) + 1)
    drawn = words[rng.choice(len(words), int(lengths.sum()), p=shares / shares.sum())]
    return [" ".join(part) for part in np.split(drawn, np.cumsum(lengths)[:-1])]


def _endings(rng: np.random.Generator, n: int) -> list[str]:
    endings = np.array(['. "Great"', ".\n\nVery good.", " café.", "."])
    return [str(end) for end in rng.choice(endings, n, p=[0.2, 0.1, 0.03, 0.67])]


def _json(texts: list[str]) -> pa.StringArray:
    return pa.array([json.dumps(text) for text in texts], pa.string())
