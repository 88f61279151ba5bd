"""The task API of a run in one process: fewer versions than Airflow ships, and the newest of them works."""

import os
import subprocess
import sys

from ..conftest import ROOT

BUILT = """
import sys
from local.task_api import VERSIONS, keep_newest_versions
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


def n_versions(how: str, folder) -> int:
    """How many versions a new process builds; it needs no database."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(folder)}
    command = [sys.executable, "-c", BUILT, how]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1])


def test_only_the_newest_versions_are_built(tmp_path):
    assert n_versions("cut", tmp_path) == 3 < n_versions("whole", tmp_path)
