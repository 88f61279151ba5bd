"""Similarities of items are those of `implicit`, and their scores those of a dense product."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from scipy import sparse

from include.recommender.config import KnnConfig
from include.recommender.errors import ConfigError, DataError
from include.recommender.models import memory
from include.recommender.models.histories import Histories
from include.recommender.models.knn import similarities
from include.recommender.models.knn.fitting import fit_bytes, fit_similarities
from include.recommender.models.knn.similarities import Similarities, root_mean_squares
from include.recommender.parameters.of_models import BM25, COSINE, TFIDF

from .families import similar_of
from .test_fold_in import matrix_of

quick = settings(max_examples=60, deadline=None)
THEIRS = {BM25: BM25Recommender, TFIDF: TFIDFRecommender, COSINE: CosineRecommender}
# It converts its own matrix, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:Method expects CSR input")
each_similarity = pytest.mark.parametrize("similarity", THEIRS)


def interactions(n_users=80, n_items=50, seed=0, density=0.12):
    """Confidences; few items are popular, and the last has no user."""
    rng = np.random.default_rng(seed)
    liked = rng.random((n_users, n_items)) < density * 2 * rng.random(n_items)
    liked[:, -1] = False
    return sparse.csr_matrix(liked * (1 + 100 * rng.random(liked.shape)), dtype=np.float32)


def peak_of(work):
    """The most bytes that it holds at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def same_bytes(one, other):
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in vars(one))


@each_similarity
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), neighbours=st.sampled_from([1, 2, 5, 20, 100]))
def test_they_are_those_of_implicit(similarity, seed, neighbours):
    matrix = interactions(seed=seed)
    found = fit_similarities(matrix, KnnConfig(similarity=similarity, neighbours=neighbours))
    found.check(matrix.shape[1], "them")
    theirs = THEIRS[similarity](K=neighbours + 1)
    # It counts items without an interaction as part of the catalogue.
    filled = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    theirs.fit((matrix[:, filled] > 0).astype(np.float64), show_progress=False)
    ours, expected = found.matrix.toarray(), np.zeros(found.matrix.shape)
    expected[np.ix_(filled, filled)] = theirs.similarity.toarray()
    np.fill_diagonal(expected, 0.0)
    expected[expected < 0] = 0.0
    both = (ours > 0) & (expected > 0)
    np.testing.assert_allclose(ours[both], expected[both], rtol=1e-6)
    # Of equal similarities at the last place either may be kept.
    for own, other in zip(ours, expected, strict=True):
        kept = np.concatenate([own[own > 0], other[other > 0]])
        differ = np.concatenate([own[(own > 0) & (other == 0)], other[(other > 0) & (own == 0)]])
        assert not len(differ) or np.allclose(differ, kept.min(), rtol=1e-6)


@each_similarity
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), neighbours=st.sampled_from([1, 3, 10]))
def test_each_item_keeps_its_nearest(similarity, seed, neighbours):
    """One more where the item itself is not among them, since others are as near to it."""
    matrix = interactions(seed=seed)
    found, every = (
        fit_similarities(matrix, KnnConfig(similarity=similarity, neighbours=n)).matrix.toarray()
        for n in (neighbours, matrix.shape[1])
    )
    for kept, own in zip(found, every, strict=True):
        assert min(neighbours, (own > 0).sum()) <= (kept > 0).sum() <= neighbours + 1
        np.testing.assert_array_equal(kept[kept > 0], own[kept > 0])
        assert kept[kept > 0].min(initial=np.inf) >= own[kept == 0].max()


@each_similarity
def test_neither_threads_nor_confidences_change_them(similarity):
    matrix, config = interactions(400, 200), KnnConfig(similarity=similarity, neighbours=7)
    found = fit_similarities(matrix, config)
    ones = sparse.csr_matrix((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    for threads in (1, 2, 5):
        assert same_bytes(fit_similarities(matrix, config, threads), found)
    assert same_bytes(fit_similarities(ones, config), found)


@each_similarity
def test_by_hand(similarity):
    """Users 0 and 1 have items 0 and 1, users 2 and 3 items 1 and 2, and user 4 item 3."""
    matrix = sparse.csr_matrix(
        np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=np.float32)
    )
    found = fit_similarities(matrix, KnnConfig(similarity=similarity, neighbours=3)).matrix.toarray()
    sizes = np.array([2, 4, 2, 1])
    weight = np.log(4 / 3) * 2.2 / (1.2 * (0.25 + 0.75 * sizes / sizes.mean()) + 1)
    value = 2 * weight[0] * weight[1] if similarity == BM25 else 0.5**0.5
    assert found == pytest.approx(np.array([[0, value, 0, 0], [value, 0, value, 0], [0, value, 0, 0], [0] * 4]))


@each_similarity
def test_items_without_a_common_user_and_users_of_everything_say_nothing(similarity):
    config = KnnConfig(similarity=similarity)
    for dense in (np.zeros((3, 4)), np.eye(4), np.eye(4)[:, :1]):
        found = fit_similarities(sparse.csr_matrix(dense, dtype=np.float32), config)
        found.check(dense.shape[1], "them")
        assert not len(found.values)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**6)
    with pytest.raises(ConfigError, match="knn_neighbours=1000: the neighbours of 50 items need about"):
        fit_similarities(interactions(), KnnConfig(neighbours=1_000))
    fit_similarities(interactions(), KnnConfig(neighbours=10))


@each_similarity
@pytest.mark.parametrize(("n_users", "n_items", "neighbours"), [(3_000, 400, 1), (1_500, 1_000, 200)])
def test_the_counted_memory_is_what_a_fit_takes(similarity, n_users, n_items, neighbours):
    """Of many interactions, and of long lists."""
    matrix, config = interactions(n_users, n_items), KnnConfig(similarity=similarity, neighbours=neighbours)
    peak = peak_of(lambda: fit_similarities(matrix, config))
    assert 0.98 * peak <= fit_bytes(n_items, matrix.nnz, config) <= 1.2 * peak


def test_of_a_matrix_are_its_entries_above_0_off_the_diagonal():
    dense = np.array([[9, 0.5, np.nan], [-1, 9, 0], [2, 1, 9]], dtype=np.float32)
    matrix = sparse.csr_matrix(dense)
    found = Similarities.of(matrix)
    assert found.matrix.toarray().tolist() == [[0, 0.5, 0], [0, 0, 0], [2, 1, 0]]
    assert (found.indptr.dtype, found.neighbours.dtype, found.values.dtype) == (np.int64, np.int32, np.float32)
    np.testing.assert_array_equal(matrix.toarray(), dense)


INTACT = Similarities(
    np.array([0, 2, 2, 3]), np.array([1, 2, 0], dtype=np.int32), np.array([0.5, 2.0, 1.0], dtype=np.float32)
)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ({"indptr": [0, 2, 2]}, "indptr.npy: similarities of 2 items, expected 3"),
        ({"indptr": [0, 2, 2, 3, 3]}, "indptr.npy: similarities of 4 items, expected 3"),
        ({"indptr": []}, "indptr.npy: .*expected 3"),
        ({"indptr": [1, 2, 2, 3]}, "indptr.npy: does not ascend from 0 to 3"),
        ({"indptr": [0, 2, 2, 4]}, "indptr.npy: does not ascend from 0 to 3"),
        ({"indptr": [0, 2, 1, 3]}, "indptr.npy: does not ascend from 0 to 3"),
        ({"indptr": [0, -1, 2, 3]}, "indptr.npy: does not ascend from 0 to 3"),
        ({"neighbours": [1, 2]}, "indptr.npy: does not ascend from 0 to 2"),
        ({"neighbours": [1, 3, 0]}, "neighbours.npy: holds 0 to 3, expected 0 to 2"),
        ({"neighbours": [-1, 2, 0]}, "neighbours.npy: holds -1 to 2, expected 0 to 2"),
        ({"neighbours": [2, 1, 0]}, "neighbours.npy: does not ascend"),
        ({"neighbours": [1, 1, 0]}, "neighbours.npy: does not ascend"),
        ({"neighbours": [0, 2, 0]}, "neighbours.npy: "),
        ({"values": [0.5, 2.0]}, "values.npy: 2 similarities, expected 3"),
        ({"values": [0.5, 2.0, 1.0, 1.0]}, "values.npy: 4 similarities, expected 3"),
        ({"values": [0.5, 0.0, 1.0]}, "values.npy: holds similarities that are not above 0 and finite"),
        ({"values": [0.5, -1.0, 1.0]}, "values.npy: holds similarities that are not above 0 and finite"),
        ({"values": [0.5, np.nan, 1.0]}, "values.npy: holds similarities that are not above 0 and finite"),
        ({"values": [np.inf, 1.0, 1.0]}, "values.npy: holds similarities that are not above 0 and finite"),
    ],
    ids=str,
)
def test_each_kind_of_damage_is_refused_with_the_name_of_the_file(damage, says):
    ((name, values),) = damage.items()
    damaged = replace(INTACT, **{name: np.array(values, dtype=getattr(INTACT, name).dtype)})
    with pytest.raises(DataError, match=f"^here_{says}"):
        damaged.check(3, "here_")


@pytest.mark.parametrize("held", [1, 7, 40, 10_000])
def test_damage_is_found_wherever_it_is(monkeypatch, held):
    monkeypatch.setattr(similarities, "HELD_ENTRIES", held)
    whole = similar_of(30, 2)
    whole.check(30, "here_")
    owners = np.repeat(np.arange(30), np.diff(whole.indptr))
    for at, owner in enumerate(owners):
        before = [(whole.neighbours[at - 1], "does not ascend")] if at and owners[at - 1] == owner else []
        for wrong, says in [(owner, "does not ascend|its own"), *before]:
            neighbours = whole.neighbours.copy()
            neighbours[at] = wrong
            with pytest.raises(DataError, match=f"^here_neighbours.npy: .*({says})"):
                replace(whole, neighbours=neighbours).check(30, "here_")


def test_a_check_takes_little_memory():
    """Less than half of the arrays, 14 MB."""
    n_items, degree = 3_500, 500
    neighbours = (np.arange(n_items)[:, None] + 1 + np.arange(degree)) % n_items
    similar = Similarities(
        np.arange(0, n_items * degree + 1, degree),
        np.sort(neighbours, axis=1).ravel().astype(np.int32),
        np.ones(n_items * degree, dtype=np.float32),
    )
    assert peak_of(lambda: similar.check(n_items, "here_")) < 7e6


def test_what_is_intact_is_not_refused():
    INTACT.check(3, "here_")
    Similarities.of(sparse.csr_matrix((4, 4), dtype=np.float32)).check(4, "here_")
    Similarities.of(sparse.csr_matrix(np.ones((1, 1)))).check(1, "here_")


@quick
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.sampled_from([30, 31, 200]), st.integers(0, 2**32 - 1))
def test_scores_are_those_of_a_dense_product(sizes, n_items, seed):
    similar, histories = similar_of(n_items, seed), Histories.of(matrix_of(sizes, n_items, seed))
    found = similar.scores(histories)
    expected = histories.matrix.toarray().astype(np.float64) @ similar.matrix.toarray().astype(np.float64)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12)
    assert (found.data > 0).all()
    assert found.has_sorted_indices
    assert found.has_canonical_format
    squares = root_mean_squares(found)
    np.testing.assert_allclose(squares, np.sqrt(np.square(expected).mean(axis=1)), rtol=1e-12)
    item = seed % n_items
    known = np.arange(n_items, dtype=np.int32)
    np.testing.assert_array_equal(similar.to(known, item), similar.matrix.toarray()[:, item])


@quick
@given(st.lists(st.integers(0, 40), min_size=2, max_size=20), st.integers(0, 2**32 - 1))
def test_scores_of_a_history_are_the_same_alone_and_among_others_to_the_last_bit(sizes, seed):
    similar, histories = similar_of(90, seed), Histories.of(matrix_of(sizes, 90, seed))
    squares, exact = root_mean_squares(similar.scores(histories)), similar.scores(histories).toarray()
    for rows in ([len(sizes) - 1], np.random.default_rng(seed).permutation(len(sizes))):
        some = histories.take(np.array(rows))
        assert similar.scores(some).toarray().tobytes() == exact[rows].tobytes()
        assert root_mean_squares(similar.scores(some)).tobytes() == squares[rows].tobytes()


@pytest.mark.parametrize(
    ("limit", "held"),
    [
        (1, [0, 3, 441, 0, 1430, 1430, 46, 81, 0]),
        (443, [3, 441, 1430, 1430, 127]),
        (1430, [444, 1430, 1430, 127]),
        (2860, [1874, 1557]),
        (3431, [3431]),
    ],
)
def test_nor_on_how_many_entries_are_held_at_once(monkeypatch, limit, held):
    """Only a single row exceeds the limit."""
    similar, histories = similar_of(90, 1, most=60), Histories.of(matrix_of([0, 1, 30, 0, 90, 90, 2, 5, 0], 90))
    expected, counted, sums = similar.scores(histories), [], Similarities._sums

    def counting(self, some):
        counted.append(int(np.diff(self.indptr)[some.items].sum()))
        return sums(self, some)

    monkeypatch.setattr(similarities, "HELD_ENTRIES", limit)
    monkeypatch.setattr(Similarities, "_sums", counting)
    found = similar.scores(histories)
    assert counted == held
    for name in ("indptr", "indices", "data"):
        assert getattr(found, name).dtype == getattr(expected, name).dtype
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


def test_memory_of_scores_is_bounded():
    """Their product has 200 entries for each score."""
    n_items, n = 300, 40
    similar = Similarities.of(sparse.csr_matrix(np.random.default_rng(0).random((n_items, n_items))))
    histories = Histories.of(matrix_of([200] * n, n_items))
    assert peak_of(lambda: similar.scores(histories)) < 25e6


def test_nobody_and_nothing_is_scored_too():
    similar = similar_of(9)
    nothing, nobody = Histories.of(matrix_of([0, 0], 9)), Histories.of(matrix_of([], 9))
    assert similar.scores(nothing).nnz == 0
    assert root_mean_squares(similar.scores(nothing)).tolist() == [0, 0]
    assert similar.scores(nobody).shape == (0, 9)
    assert root_mean_squares(similar.scores(nobody)).shape == (0,)


def test_items_of_which_nothing_is_known_score_0():
    similar = Similarities.of(sparse.csr_matrix(([2.0], ([0], [3])), shape=(5, 5)))
    histories = Histories.of(sparse.csr_matrix(np.array([[3, 0, 0, 0, 0], [0, 4, 0, 0, 0]], dtype=np.float32)))
    assert similar.scores(histories).toarray().tolist() == [[0, 0, 0, 6, 0], [0] * 5]


@each_similarity
def test_items_without_interactions_are_none_of_the_catalogue(similarity):
    """A search judges a fold in which rare items are empty columns, a retraining one without them."""
    matrix = matrix_of([1, 2, 5, 8, 8, 12, 20], 30)
    kept = np.flatnonzero(np.bincount(matrix.indices, minlength=30))
    wide = sparse.csr_matrix((matrix.data, 2 * matrix.indices, matrix.indptr), shape=(7, 90))
    config = KnnConfig(similarity=similarity, neighbours=10)
    found = fit_similarities(wide, config).matrix[2 * kept][:, 2 * kept]
    expected = fit_similarities(matrix[:, kept], config).matrix
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
