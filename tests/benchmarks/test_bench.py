"""`make bench` end to end, small: the library and the script that it is compared with judge the same users alike."""

import re

import pytest

from benchmarks._timing import Cost
from benchmarks.bench.__main__ import bench
from benchmarks.bench.table import Row, rendered
from benchmarks.bench.work import Work


def test_ratios_are_those_of_the_reference_to_ours():
    row = Row(name="fit", ours=Cost(2.0, 1.0, 10**9), reference="other", theirs=Cost(8.0, 2.0, 2 * 10**9), aim="4")
    assert row.cells == ("fit", "1.0", "2.0", "1.00", "other", "2.0", "8.0", "2.00", "2.00", "4.00", "4")
    assert len({len(line) for line in rendered([row]).splitlines()[:3]}) == 1


@pytest.mark.slow
def test_the_script_and_the_library_do_the_same_work(tmp_path):
    pytest.importorskip("irspack")
    work = Work(folder=tmp_path, n_factors=16, n_judged=2_000, iterations=15, fit_iterations=2)
    text = bench(work, 30_000, core=False, stages=False)
    ours, theirs = re.search(r"users: (0\.\d+), the script (0\.\d+)", text).groups()
    assert float(ours) == pytest.approx(float(theirs), rel=0.1)
    for name in ("pandas + implicit", "implicit 0", "irspack", "float32 products"):
        assert name in text
