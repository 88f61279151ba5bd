"""What a fit needs and what is free."""

import numpy as np
import pytest
from scipy import sparse

from include.recommender.config import TrainConfig
from include.recommender.errors import ConfigError
from include.recommender.models import memory
from include.recommender.models.cores import n_cores
from include.recommender.models.memory import BUFFER_BYTES, MatrixSize, check_memory, free_bytes, needed_bytes


def test_memory_by_hand():
    config = TrainConfig(factors=2, solver="implicit")
    # 10 entries and their transpose: 2 x 10 x 8; row pointers 2 x (3 + 5) x 4; users 3, items 5 twice, of 2 factors.
    assert needed_bytes(MatrixSize.counted(3, 5, 10), config) == 160 + 8 * 4 + (3 + 2 * 5) * 2 * 4
    # More users than items: the peak is while the users' factors start.
    assert needed_bytes(MatrixSize.counted(50, 5, 10), config) == 160 + 55 * 4 + 2 * 50 * 2 * 4
    # A warm start: users once, items in float32 and once more in float64.
    assert needed_bytes(MatrixSize.counted(50, 5, 10), config, warm=True) == 160 + 55 * 4 + (50 + 3 * 5) * 2 * 4


def test_memory_of_the_own_solver_counts_users_with_several_interactions():
    size = MatrixSize.of(sparse.csr_matrix(np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0], [2, 0, 0]], dtype=np.float32)))
    assert size == MatrixSize(n_users=4, n_items=3, nnz=4, n_several=1, several_nnz=2)
    # 4 entries; 2 of one user and their transpose; the 3 other users.
    entries = 4 * 8 + 4 * 4 + (2 * 8 + 12) + (2 * 8 + 3 * 12) + (3 * 4 + 3 * 32)
    # One user, and the items as given and as trained, of 5 factors.
    assert needed_bytes(size, TrainConfig(factors=5)) == entries + (1 + 2 * 3) * 5 * 4 + n_cores() * BUFFER_BYTES


def test_a_fit_that_cannot_fit_is_refused_with_the_arithmetic(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**9)
    check_memory(MatrixSize.counted(1_000, 1_000, 10**6), TrainConfig())
    with pytest.raises(ConfigError, match=r"factors=1024: training needs about 4\.\d+ GB.*1\.00 GB are free"):
        check_memory(MatrixSize.counted(10**6, 10**4, 10**6), TrainConfig(factors=1024))


@pytest.fixture
def machine(tmp_path):
    """A /proc and a control group that say what a test wants."""
    (tmp_path / "meminfo").write_text("MemTotal: 16000 kB\nMemAvailable:    8000 kB\n")
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 2000000\ninactive_file 900000\n")
    return tmp_path


@pytest.mark.parametrize(("limit", "free"), [("max", 8_192_000), ("4000000", 1_900_000), ("90000000", 8_192_000)])
def test_free_memory_is_what_the_machine_or_the_control_group_leaves(machine, limit, free):
    (machine / "memory.max").write_text(f"{limit}\n")
    assert free_bytes(machine, machine) == free


@pytest.mark.parametrize("own", ["a/b", "a", ""])
def test_the_limits_of_all_groups_above_the_process_count(machine, own):
    (machine / "self").mkdir()
    (machine / "self" / "cgroup").write_text("1:name=x:/other\n0::/a/b/c\n")
    (machine / own).mkdir(parents=True, exist_ok=True)
    for name in ("memory.current", "memory.stat"):
        (machine / own / name).write_text((machine / name).read_text())
    (machine / own / "memory.max").write_text("4000000\n")
    assert free_bytes(machine, machine) == 1_900_000


def test_a_control_group_out_of_sight_is_passed_over(machine):
    (machine / "self").mkdir()
    (machine / "self" / "cgroup").write_text("0::/../../elsewhere\n")
    (machine / "memory.max").write_text("4000000\n")
    assert free_bytes(machine, machine) == 1_900_000


def test_a_need_says_what_was_counted_what_is_free_and_what_to_do(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**9)
    memory.require_memory(10**9, "10 ids", "Use fewer.")
    with pytest.raises(
        ConfigError, match=r"^10 ids need about 1\.50 GB of memory, but 1\.00 GB are free.*Use fewer\.$"
    ):
        memory.require_memory(1_500_000_000, "10 ids", "Use fewer.")


@pytest.mark.parametrize(("limit", "free"), [("4000000", 1_900_000), (str(2**63 - 4096), 8_192_000)])
def test_control_groups_of_version_1_count_too(machine, limit, free):
    group = machine / "memory"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (group / "memory.usage_in_bytes").write_text("3000000\n")
    (group / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 900000\n")
    assert free_bytes(machine, machine) == free


def test_free_memory_without_a_proc_or_control_group(tmp_path):
    assert free_bytes(tmp_path, tmp_path) > 10**8
