"""A version of generated interactions, published to a store as a run publishes it: for benchmarks of serving."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
from scipy import sparse

from include.recommender.config import RetrainConfig
from include.recommender.data.counts import FoldCounts
from include.recommender.ids import Vocabulary
from include.recommender.models.als.training import fit_als
from include.recommender.models.choice import Choice
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.scoring import needs_similarities
from include.recommender.registry.bundle import Manifest, ModelPart, describe, model_id
from include.recommender.registry.listing import FOLD, FoldFile
from include.recommender.registry.moves import Move, moved_now
from include.recommender.registry.registry import Registry
from include.recommender.registry.seen import Seen
from include.recommender.registry.verdict import Interval, Verdict
from include.recommender.storage.documents import to_json

from .generated import interactions

END_S = int(datetime(2018, 10, 1, tzinfo=UTC).timestamp())
DAY_S = 86_400
CHANNEL = "production"


def write(directory: Path, n_items: int, n_users: int, **params: int | str) -> RetrainConfig:
    """Fit a model to generated interactions, and write the files of a version; users have 2 interactions on average.

    Parameters
    ----------
    params : of the model, such as factors and family, where they are not the defaults
    """
    matrix = interactions(2 * n_users, n_users, n_items)
    matrix = matrix[np.diff(matrix.indptr) > 0]
    matrix.sort_indices()
    config = RetrainConfig.from_params(params)
    found, _ = fit_als(matrix, config.train)
    popularity = np.bincount(matrix.indices, minlength=n_items).astype(np.float64)
    similar = fit_similarities(matrix, config.knn) if needs_similarities(config) else None
    for part in ("judged", "published"):
        ModelPart(found, _ids("I", n_items), popularity, similar).save(directory, part)
    _seen(matrix).save(directory)
    zeros = dict.fromkeys(FoldCounts.__struct_fields__, 0)
    counts = msgspec.convert({**zeros, "split_s": END_S}, FoldCounts)
    (directory / FOLD).write_bytes(to_json(FoldFile(counts, counts)))
    (directory / "MODEL_CARD.md").write_text("# Of generated interactions\n")
    return config


def publish(registry: Registry, directory: Path, config: RetrainConfig, label: str) -> Manifest:
    """Publish the files under a name of their own."""
    manifest = describe(directory, _about(config, label))
    registry.publish(directory, manifest)
    return manifest


def promote(registry: Registry, manifest: Manifest, kind: str = "promote") -> None:
    """Move the channel to a version."""
    state = registry.channels.read(CHANNEL)
    move = {
        "channel": CHANNEL,
        "moved_at": moved_now(),
        "from_model": state.model_id if state else None,
        "to_model": manifest.model_id,
        "known_until": manifest.known_until,
        "who": "benchmark",
        "why": "benchmark",
        "verdict": "PROMOTE",
        "run": "benchmark",
        "kind": kind,
    }
    registry.promote(msgspec.convert(move, Move), state)


def _ids(prefix: str, n: int) -> Vocabulary:
    return Vocabulary(pa.array([f"{prefix}{number:09}" for number in range(n)], pa.large_string()))


def _seen(matrix: sparse.csr_matrix) -> Seen:
    rng = np.random.default_rng(1)
    return Seen(
        users=_ids("U", matrix.shape[0]),
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int32),
        times=rng.integers(END_S - 500 * DAY_S, END_S, matrix.nnz),
        ratings=rng.integers(1, 6, matrix.nnz).astype(np.float32),
        verified=rng.integers(-1, 2, matrix.nnz).astype(np.int8),
        n_items=matrix.shape[1],
    )


def _about(config: RetrainConfig, label: str) -> dict[str, object]:
    above, identity, at = Interval(0.05, 0.01, 0.09), {"label": label}, datetime.fromtimestamp(END_S, UTC)
    verdict = Verdict(
        decision="PROMOTE",
        reasons=["generated"],
        n_users=1,
        top_k=10,
        baseline="popularity",
        candidate_recall=0.2,
        baseline_recall=0.1,
        relative_lift=1.0,
        against_popularity=above,
        champion_recall=None,
        against_champion=None,
        reference=None,
        reference_recall=None,
        against_reference=None,
        reference_level=None,
        thresholds=config.gate,
        intervals={"popularity": above},
    )
    return {
        "model_id": model_id(END_S - 1, identity),
        "identity": identity,
        "as_of": at,
        "snapshot": "generated",
        "split_s": END_S,
        "published_split_s": END_S,
        "last_s": END_S,
        "reviews": "generated",
        "config": config.as_dict(),
        "choice": Choice.of(config),
        "metrics": {"candidate": {"recall@10": 0.2}, "popularity": {"recall@10": 0.1}},
        "verdict": verdict,
        "champion": None,
        "lineage": {},
        "tuned": None,
        "run": "benchmark",
        "code_version": "benchmark",
        "libraries": {},
    }
