"""The task API of a run in one process: fewer versions than Airflow ships, and the newest of them works."""

import os
import subprocess
import sys

import pytest

from local.task_api import VERSIONS

from ..conftest import ROOT

BUILT = """
import logging, sys
import local.dag_run  # of what it imports nothing may import that API
from local.task_api import VERSIONS, keep_newest_versions
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
assert VERSIONS not in sys.modules
cut = sys.argv[1] == "cut"
if cut:
    keep_newest_versions()
import cadwyn
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
from airflow.sdk.api.datamodels._generated import API_VERSION
app = InProcessExecutionAPI().app
if cut:
    app._cadwyn_initialize()  # what the first request does; it refuses a bundle that is not whole
bundle = sys.modules[VERSIONS].bundle
assert isinstance(bundle, cadwyn.VersionBundle)
assert bundle.versions[0].value == API_VERSION
print(len(bundle.versions))
"""


KEEPS_ALL = "Airflow's task API keeps all of its versions"
LATE = """
import logging, sys
from local.task_api import VERSIONS, keep_newest_versions
if sys.argv[1] == "late":
    import importlib
    importlib.import_module(VERSIONS)
else:
    sys.modules[sys.argv[1]] = None  # as if it were not there
logging.basicConfig(level=logging.INFO, stream=sys.stdout, force=True)
keep_newest_versions()
"""


def n_versions(how: str, folder) -> int:
    """How many versions a new process builds; it needs no database."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(folder)}
    command = [sys.executable, "-c", BUILT, how]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert KEEPS_ALL not in done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_only_the_newest_versions_are_built(tmp_path):
    assert n_versions("cut", tmp_path) == 3 < n_versions("whole", tmp_path)


@pytest.mark.parametrize("how", ["late", "cadwyn", VERSIONS])
def test_it_is_logged_if_no_version_was_left_out(tmp_path, how):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-c", LATE, how]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert KEEPS_ALL in done.stdout
    assert how == "late" or how in done.stdout
