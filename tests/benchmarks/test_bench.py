"""`make bench` end to end, small: the library and the script that it is compared with judge the same users alike."""

import re

import pytest

from benchmarks._timing import Cost
from benchmarks.bench.__main__ import bench
from benchmarks.bench.table import Row, rendered
from benchmarks.bench.work import Work
from include.recommender.config import EncodeConfig, EvaluateConfig, RetrainConfig, TrainConfig


def test_ratios_are_those_of_the_reference_to_ours():
    row = Row(name="fit", ours=Cost(2.0, 1.0, 10**9), reference="other", theirs=Cost(8.0, 2.0, 2 * 10**9), aim="4")
    assert row.cells == ("fit", "1.0", "2.0", "1.00", "other", "2.0", "8.0", "2.00", "2.00", "4.00", "4")
    assert len({len(line) for line in rendered([row]).splitlines()[:3]}) == 1


def test_the_references_get_the_configuration_of_the_library(tmp_path):
    config = RetrainConfig(
        train=TrainConfig(regularization=3.0, iterations=4, seed=7),
        encode=EncodeConfig(alpha=5.0, unverified_weight=0.25, holdout_fraction=0.2),
        evaluate=EvaluateConfig(top_k=20),
    )
    work = Work.of(config, tmp_path, n_factors=16, n_judged=10, fit_iterations=2)
    work.write()
    found = Work.read(tmp_path)
    assert found == work
    assert (found.regularization, found.iterations, found.seed, found.alpha) == (3.0, 4, 7, 5.0)
    assert (found.unverified, found.holdout, found.top_k) == (0.25, 0.2, 20)


@pytest.mark.slow
def test_the_script_and_the_library_do_the_same_work(tmp_path):
    pytest.importorskip("irspack")
    work = Work.of(RetrainConfig(), tmp_path, n_factors=16, n_judged=2_000, fit_iterations=2)
    text = bench(work, 30_000, core=False, stages=False)
    ours, theirs = re.search(r"users: (0\.\d+), the script (0\.\d+)", text).groups()
    assert float(ours) == pytest.approx(float(theirs), rel=0.1)
    assert re.search(r"implicit 0[^\n]* 8 \(wall\)", text)
    for name in ("pandas + implicit", "implicit 0", "irspack", "float32 products"):
        assert name in text
