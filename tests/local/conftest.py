"""A `.local` of a test's own, and a port that nobody uses."""

import pytest

from local.home import Home

from ..ports import free_port


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / ".local")


@pytest.fixture
def port():
    return free_port()
