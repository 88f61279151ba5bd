"""A `.local` of a test's own, and a port that nobody uses."""

import socket

import pytest

from local import store
from local.home import Home


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / ".local")


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind((store.HOST, 0))
        return probe.getsockname()[1]
