"""A disk that is really full: a small file system of its own, mounted in a namespace of its own."""

import os
import shutil
import subprocess
import sys

import pytest

from ..conftest import ROOT

CODE = """
import sys
from pathlib import Path
import boto3
from include.recommender.errors import ConfigError
from include.recommender.stages.workspace import Workspace, run_once
from include.recommender.storage.objects import ObjectStore
keys = {"region_name": "us-east-1", "aws_access_key_id": "t", "aws_secret_access_key": "t"}
client = boto3.client("s3", endpoint_url=sys.argv[1], **keys)
store = ObjectStore(client, "reviews", "shop")
workspace = Workspace(store, store, Path(sys.argv[2]))
try:
    run_once(workspace, "stage", 1, {}, {}, lambda d: (d / "big").write_bytes(bytes(8 << 20)) and {})
except ConfigError as error:
    print(error)
print("objects:", len(list(store.walk(""))), "left:", len(list(Path(sys.argv[2]).iterdir())))
"""


def test_a_full_disk_is_named_and_nothing_is_left(s3, s3_endpoint, tmp_path):
    private = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespace")
    script = f'mount -t tmpfs -o size=4m none "{tmp_path}" && exec "$@"'
    command = [*private, "sh", "-c", script, "sh", sys.executable, "-c", CODE, s3_endpoint, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}: the disk is full" in done.stdout
    assert "objects: 0 left: 0" in done.stdout
