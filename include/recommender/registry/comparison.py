"""Two versions side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..data.reviews import load_vocabulary
from ..parameters.definition import ParameterValue
from .bundle import Manifest
from .listing import fold_counts
from .registry import Registry

VOCABULARY = "published_items.parquet"
# The settings that decide the judged users and items, besides the reviews and the split time.
HOLDOUT_KNOBS = ("encode.holdout_fraction", "encode.min_user_interactions", "encode.min_item_interactions")
JUDGE_KNOBS = ("evaluate.max_users", "evaluate.seed")

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Overlap:
    """Number of items of each version, and of both."""

    a: int
    b: int
    both: int


@dataclass(frozen=True, kw_only=True)
class VersionComparison:
    """Facts of two versions, as pairs (of a, of b).

    facts : created_at, known_until, as_of, snapshot, split time, verdict, code version, counts of the published fold
    top_k : the K of the Recall@K that the gate decided on
    metrics : metric -> its values for the two candidates, each on its own holdout
    popularity : metric -> its values for the strongest popularity, each on its own holdout
    config : the settings that differ, `section.field`
    libraries : the library versions that differ
    warnings : why the metrics must not be compared
    """

    a: str
    b: str
    facts: dict[str, Pair]
    top_k: Pair
    metrics: dict[str, Pair]
    popularity: dict[str, Pair]
    config: dict[str, Pair]
    libraries: dict[str, Pair]
    items: Overlap
    warnings: list[str]


def compare(registry: Registry, a: str, b: str) -> VersionComparison:
    """Compare two versions; downloads their item vocabularies. Raises NotFound, DataError."""
    one, two = registry.manifest(a), registry.manifest(b)
    config = _differing(dict(_flat(one.config)), dict(_flat(two.config)))
    return VersionComparison(
        a=a,
        b=b,
        facts=_paired(_facts(registry, one), _facts(registry, two)),
        top_k=(one.verdict.top_k, two.verdict.top_k),
        metrics=_paired(one.metrics["candidate"], two.metrics["candidate"]),
        popularity=_paired(*(body.metrics[body.verdict.baseline] for body in (one, two))),
        config=config,
        libraries=_differing(one.libraries, two.libraries),
        items=_overlap(registry, one, two),
        warnings=_warnings(one, two, config),
    )


def _facts(registry: Registry, manifest: Manifest) -> dict[str, object]:
    return {
        "created_at": manifest.created_at.isoformat(timespec="seconds"),
        "known_until": manifest.known_until.isoformat(),
        "as_of": manifest.as_of.isoformat(),
        "snapshot": manifest.snapshot,
        "split time": split_time_of(manifest),
        "verdict": manifest.verdict.decision,
        "strongest popularity": manifest.verdict.baseline,
        "relative_lift": manifest.verdict.relative_lift,
        "model": manifest.choice.text,
        "tuned": manifest.tuned or "none",
        "code_version": manifest.code_version,
        **fold_counts(registry, manifest),
    }


def split_time_of(manifest: Manifest) -> str:
    """The instant between train and holdout, ISO 8601."""
    return datetime.fromtimestamp(manifest.split_s, UTC).isoformat()


def _flat(config: Mapping[str, Mapping[str, ParameterValue]]) -> Iterator[tuple[str, ParameterValue]]:
    for section, values in config.items():
        for field, value in values.items():
            yield f"{section}.{field}", value


def _paired(one: Mapping[str, object], two: Mapping[str, object]) -> dict[str, Pair]:
    return {name: (one.get(name), two.get(name)) for name in dict.fromkeys([*one, *two])}


def _differing(one: Mapping[str, object], two: Mapping[str, object]) -> dict[str, Pair]:
    return {name: pair for name, pair in _paired(one, two).items() if pair[0] != pair[1]}


def _overlap(registry: Registry, *versions: Manifest) -> Overlap:
    with tempfile.TemporaryDirectory(prefix="recommender-compare-") as directory:
        a, b = (
            set(load_vocabulary(registry.fetch_file(body, VOCABULARY, Path(directory) / body.model_id)).ids.to_pylist())
            for body in versions
        )
    return Overlap(len(a), len(b), len(a & b))


def _warnings(one: Manifest, two: Manifest, config: dict[str, Pair]) -> list[str]:
    differing = []
    if one.snapshot != two.snapshot:
        differing.append(f"snapshot {one.snapshot} and {two.snapshot}")
    elif one.reviews != two.reviews:
        differing.append(f"the content of snapshot {one.snapshot}")
    if one.split_s != two.split_s:
        differing.append(f"split time {split_time_of(one)} and {split_time_of(two)}")
    differing += [
        f"{name} {config[name][0]} and {config[name][1]}" for name in HOLDOUT_KNOBS + JUDGE_KNOBS if name in config
    ]
    if not differing:
        return []
    return [
        "The metrics are not comparable, they were measured on different holdouts: " + "; ".join(differing) + ". "
        "Compare each with the popularity beside it, or run the DAG again with one snapshot, as_of and holdout."
    ]
