"""The generator of review files: the shape of real reviews, the three layouts, and tastes that ALS finds."""

import gzip
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.review_lines import LAYOUTS, item_ids, user_ids
from benchmarks.reviews import BLOCK, DUPLICATE_SHARE, blocks, write, write_files
from benchmarks.shop import CORE, END, draw
from include.recommender.config import ParseConfig, RetrainConfig
from include.recommender.data.encoding import encode
from include.recommender.data.parsing import parse_files
from include.recommender.data.reviews import Reviews
from include.recommender.evaluation.evaluate import fold_task, judge
from include.recommender.evaluation.gate import CANDIDATE, decide
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.popularity import fit_popularity

N = 30_000


@pytest.fixture(scope="module")
def choices():
    return draw(400_000, 1)


def test_histories_are_those_of_raw_reviews(choices):
    sizes = np.bincount(choices.users)
    assert len(choices) == sizes.sum() == 400_000
    assert (sizes == 1).mean() == pytest.approx(0.7, abs=0.01)
    assert sizes.mean() == pytest.approx(2.1, abs=0.1)
    assert sizes.max() > 500


def test_items_follow_zipf(choices):
    counts = np.sort(np.bincount(choices.items))[::-1]
    rank = np.arange(10, len(counts) // 4)
    slope = np.polyfit(np.log(rank + 1), np.log(counts[rank]), 1)[0]
    assert slope == pytest.approx(-0.9, abs=0.07)
    assert len(choices) / len(counts) == pytest.approx(27.5, abs=1)


def test_few_pairs_come_twice(choices):
    pairs = choices.users.astype(np.int64) << 32 | choices.items
    assert len(np.unique(pairs)) > 0.95 * len(pairs)


def test_popularity_moves_over_years(choices):
    years = (END.timestamp() - choices.times_s) / (365 * 86_400)
    assert 10 < years.max() < 16
    assert years.min() >= 0
    top = [set(np.bincount(choices.items[(years > a) & (years <= a + 1)]).argsort()[-50:]) for a in (0, 3, 6)]
    assert len(top[0] & top[1]) < 15
    assert len(top[1] & top[2]) < 15


def test_the_shape_of_a_core_has_long_histories():
    sizes = np.bincount(draw(200_000, 1, CORE).users)
    assert sizes[:-1].min() == CORE.least
    assert sizes.mean() == pytest.approx(9, abs=0.6)


def test_ids_of_different_users_and_items_differ():
    some = np.arange(200_000)
    for ids, width in ((user_ids(some, 1), 14), (user_ids(some, 2), 27), (item_ids(some), 10)):
        texts = ids.to_pylist()
        assert len(set(texts)) == len(texts)
        assert {len(text) for text in texts} == {width}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_parses_without_a_bad_line(layout, tmp_path):
    path, out = tmp_path / "reviews.jsonl.gz", tmp_path / "parsed"
    out.mkdir()
    made = write(path, N, layout)
    counts = parse_files([(path.name, path)], out, ParseConfig())
    assert (counts.lines, counts.bad, counts.blank) == (N, 0, 0)
    assert counts.layouts == {layout: N}
    assert (counts.verified_unknown == N) == (layout == "2014")
    assert counts.users == pytest.approx(N / 2.1, rel=0.1)
    assert made.json_bytes / N == pytest.approx(520, abs=30)
    assert made.json_bytes / made.packed_bytes == pytest.approx(3.1, abs=0.4)


def test_some_lines_come_twice(tmp_path):
    path = tmp_path / "reviews.jsonl.gz"
    write(path, N)
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert len(lines) - len(set(lines)) == round(DUPLICATE_SHARE * N)


def test_a_file_that_is_not_packed_has_the_same_lines(tmp_path):
    packed, plain = tmp_path / "a.jsonl.gz", tmp_path / "a.jsonl"
    assert write(packed, 1_000).json_bytes == write(plain, 1_000).packed_bytes
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()


def test_several_files_have_the_lines_of_one(tmp_path):
    n, whole, folder = 2 * BLOCK + 1_000, tmp_path / "whole.jsonl.gz", tmp_path / "parts"
    folder.mkdir()
    made = write_files(folder, 2, n)
    assert write(whole, n).json_bytes == made.json_bytes
    parts = sorted(folder.iterdir())
    assert len(parts) == 2
    assert b"".join(gzip.decompress(part.read_bytes()) for part in parts) == gzip.decompress(whole.read_bytes())


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    paths = [tmp_path / f"{name}.jsonl.gz" for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write(path, 5_000, seed=seed)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


def test_any_number_of_lines_is_possible():
    for n in (1, 2, 39_999, 40_001):
        assert sum(bytes(block).count(b"\n") for block in blocks(n)) == n


def test_als_finds_the_tastes_and_the_gate_promotes_it(tmp_path):
    path, config = tmp_path / "reviews.jsonl.gz", RetrainConfig()
    config = replace(config, train=replace(config.train, factors=32))
    write(path, N)
    parse_files([(path.name, path)], tmp_path, config.parse)
    reviews = Reviews.load(tmp_path)
    fold = encode(reviews, int(END.timestamp()), config.encode)
    task = fold_task(fold, config.evaluate)
    als = Als.of(fit_als(fold.matrix, config.train)[0], config.train.regularization)
    judged = judge({CANDIDATE: als, **fit_popularity(fold.item_interactions, config.popularity)}, task, config.evaluate)
    recall = {name: row.means["recall@10"] for name, row in judged.items()}
    strongest = max(value for name, value in recall.items() if name != CANDIDATE)
    assert recall[CANDIDATE] > 1.5 * strongest
    verdict = decide({name: row.recall for name, row in judged.items()}, config.evaluate.top_k, config.gate)
    assert verdict.decision == "PROMOTE"
