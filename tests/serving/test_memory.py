"""The memory of a version is counted from its files, and is at least what loading it takes."""

import tracemalloc

import numpy as np
import pytest

from include.recommender.errors import ConfigError
from include.recommender.models import memory
from include.recommender.models.knn.similarities import ARRAYS, Similarities
from include.recommender.serving.memory import check_version_memory, version_bytes
from include.recommender.serving.version import ServedVersion

from ..registry.makers import part
from .versions import version

N_ITEMS, LONG = 20_000, 150


def long_lists():
    """Similarities of each item to the items after it."""
    near = np.sort((np.arange(N_ITEMS)[:, None] + 1 + np.arange(LONG)) % N_ITEMS, axis=1).astype(np.int32).ravel()
    return Similarities(np.arange(0, len(near) + 1, LONG), near, np.ones(len(near), dtype=np.float32))


@pytest.fixture(params=["many interactions", "long lists"])
def directory(tmp_path, request):
    """The published files of a version with many items and interactions, or with long lists of neighbours."""
    served = version(n_items=N_ITEMS, n_factors=32)
    similar = long_lists() if request.param == "long lists" else served.model.similar
    np.save(tmp_path / "published_prior.npy", np.ones(N_ITEMS))
    np.save(tmp_path / "published_item_factors.npy", served.measure.args[0])
    part(served.items.ids.to_pylist()).save(tmp_path, "names")
    (tmp_path / "names_items.parquet").rename(tmp_path / "published_items.parquet")
    for name in ARRAYS:
        np.save(tmp_path / f"published_similar_{name}.npy", getattr(similar, name))
    served.seen.save(tmp_path)
    return tmp_path, served


def test_it_is_at_least_what_loading_takes_and_not_much_more(directory):
    path, served = directory
    tracemalloc.start()
    try:
        loaded = ServedVersion.load(served.manifest, path)
        assert len(loaded.histories)
        assert loaded.similarity
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= version_bytes(path) <= 1.5 * peak


def test_a_version_that_does_not_fit_is_refused_with_what_it_needs(directory, monkeypatch):
    path, _ = directory
    monkeypatch.setattr(memory, "free_bytes", lambda: version_bytes(path) + 10**9)
    check_version_memory(path, 10**9)
    with pytest.raises(ConfigError, match=r"and the lists \(1\.10 GB\) need about 1\.1\d GB of memory.*Use a larger"):
        check_version_memory(path, 1_100_000_000)
