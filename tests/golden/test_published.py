"""Published results on a fixed split (see benchmarks/published.py). Skipped where the split is not at hand."""

import pytest

from benchmarks import published

DIRECTORY = published.default_directory()
pytestmark = pytest.mark.skipif(not DIRECTORY.exists(), reason=f"{DIRECTORY} is not there; set RECOMMENDER_SHARED_DATA")


@pytest.fixture(scope="module")
def split():
    return published.read_split(DIRECTORY)


def close_to(expected: dict[str, float]) -> dict[str, object]:
    return {name: pytest.approx(value, abs=published.TOLERANCE) for name, value in expected.items()}


def test_the_split_is_the_published_one(split):
    matrix, task = split
    assert (matrix.shape[0], matrix.nnz) == (6_014, 179_207)
    assert (len(task.rows), task.n_held.sum()) == (5_479, 47_103)


def test_popularity_as_published(split):
    matrix, task = split
    ours = published.measure(published.popularity(matrix), task)
    assert {name: ours[name] for name in published.POPULARITY} == close_to(published.POPULARITY)


def test_als_as_published(split):
    matrix, task = split
    ours = published.measure(published.als(matrix), task)
    assert {name: ours[name] for name in published.ALS} == close_to(published.ALS)
