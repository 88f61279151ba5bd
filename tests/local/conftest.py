"""A `.local` of a test's own, and a port that nobody uses."""

import shutil
from importlib.metadata import version

import pytest

from local import processes
from local.home import Home

from ..conftest import HOME
from ..ports import free_port


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / ".local")


@pytest.fixture
def migrated_home(home, airflow_database):
    """A `.local` whose Airflow is migrated."""
    (home.path / "airflow").mkdir(parents=True)
    database = home.path / "airflow" / "airflow.db"
    shutil.copyfile(HOME / "airflow.db", database)
    (home.path / "airflow" / "migrated").write_text(f"{version('apache-airflow')} sqlite:///{database}")
    yield home
    processes.kill(home.leftovers())


@pytest.fixture
def port():
    return free_port()
