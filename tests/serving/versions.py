"""A version in memory, of random factors and histories, and of a size at which blocks and shortlists matter."""

from functools import partial

import msgspec
import numpy as np
import pyarrow as pa
from scipy import sparse

from include.recommender.config import RetrainConfig
from include.recommender.ids import Vocabulary
from include.recommender.models.choice import Choice
from include.recommender.models.knn.similarities import Similarities
from include.recommender.models.scoring import model_of, needs_similarities
from include.recommender.models.similar import Similarity
from include.recommender.registry.bundle import Manifest
from include.recommender.registry.seen import Seen
from include.recommender.serving.version import ServedVersion

from ..models.test_fold_in import items_of
from ..registry import makers

END_S = int(makers.version("served").known_until.timestamp())
SIZES = [1, 1, 2, 3, 5, 8, 30, 120]


def vocabulary(prefix, n, digits=5):
    names = [f"{prefix}{number:0{digits}}" for number in range(n)]
    return Vocabulary.checked(pa.array(names, pa.large_string()))


def seen_of(n_items, rng):
    rows = [np.sort(rng.choice(n_items, min(size, n_items), replace=False)) for size in SIZES]
    n = sum(map(len, rows))
    return Seen(
        users=vocabulary("U", len(rows)),
        indptr=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        indices=np.concatenate(rows).astype(np.int32),
        times=rng.integers(END_S - 500 * 86_400, END_S, n),
        ratings=rng.integers(1, 6, n).astype(np.float32),
        verified=rng.integers(-1, 2, n).astype(np.int8),
        n_items=n_items,
    )


def neighbours(n_items, seed):
    """Similarities of which some items have none."""
    rng, n = np.random.default_rng(seed), 20 * n_items
    rows, columns = rng.integers(0, n_items, (2, n))
    found = sparse.coo_matrix((rng.random(n, dtype=np.float32), (rows, columns)), shape=(n_items, n_items)).tocsr()
    return Similarities.of(found.multiply((np.arange(n_items) % 7 > 0)[:, None]).tocsr())


def version(n_items=700, n_factors=12, seed=0, label="served", **params):
    rng = np.random.default_rng(seed)
    config = RetrainConfig.from_params({"factors": n_factors, "half_life_days": 300, "rating_weight": 0.5, **params})
    factors, popularity = items_of(n_items, n_factors), np.floor(rng.pareto(0.8, n_items))
    about = makers.about(makers.version(label), config=config.as_dict(), choice=Choice.of(config), files={})
    similar = neighbours(n_items, seed) if needs_similarities(config) else None
    return ServedVersion(
        manifest=msgspec.convert(msgspec.to_builtins(about), Manifest),
        config=config,
        items=vocabulary("I", n_items),
        seen=seen_of(n_items, rng),
        model=model_of(factors, similar, popularity, config),
        measure=partial(Similarity.of, factors),
    )
