"""A batch that is killed with SIGKILL half way, in a process of its own, is completed by the next."""

import pytest

from .long_batch import main

pytestmark = pytest.mark.slow


def test_a_batch_that_was_killed_half_way_is_completed():
    found = main(["--interactions", "60000", "--users", "20000", "--items", "2000", "--part-rows", "1000"])
    assert 0 < found.killed_after < found.parts
    assert found.rows == 10 * found.users
