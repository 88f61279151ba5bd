"""A disk that is really full: a small file system of its own, mounted in a namespace of its own."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from include.orchestration.failures import to_airflow
from include.recommender.errors import ConfigError
from include.recommender.storage.disk import REFUSALS, guarded

from ..conftest import BUCKET, ROOT

HEAD = """
import sys
from pathlib import Path
import boto3, numpy as np, pyarrow as pa, pyarrow.parquet as pq
from include.recommender.errors import ConfigError
from include.recommender.registry.versions import Versions
from include.recommender.stages.workspace import Workspace, Stage, run_once
from include.recommender.storage.cache import claim
from include.recommender.storage.objects import ObjectStore
keys = {"region_name": "us-east-1", "aws_access_key_id": "t", "aws_secret_access_key": "t"}
client = boto3.client("s3", endpoint_url=sys.argv[1], **keys)
store = ObjectStore(client, "reviews", "shop")
workspace = Workspace(store, store, Path(sys.argv[2]) / "cache")
MANY = np.random.default_rng(1).random(1 << 20)
ways = {
    "np.save": lambda d: np.save(d / "big.npy", MANY),
    "Parquet": lambda d: pq.write_table(pa.table({"x": MANY}), d / "big.parquet"),
    "text": lambda d: (d / "big.json").write_text("x" * (8 << 20)),
    "pipe": lambda d: pa.OSFile(str(d / "big"), "wb").write(MANY.tobytes()),
}
def attempt(name, act):
    try:
        act()
        print(name, "went well")
    except ConfigError as error:
        print(name, "|", error)
"""
FULL = """
for name, way in ways.items():
    attempt(name, lambda: run_once(
        workspace, Stage("stage", "1"), config={"way": name}, inputs={}, make=lambda d: way(d) and {} or {}
    ))
print("objects:", sum("artifacts/" in row.key for row in store.walk("")))
attempt("download", lambda: store.download(store.head("big"), workspace.cache / "models" / "big"))
ranges = []
client.meta.events.register("before-send.s3.GetObject", lambda request, **_: ranges.append(request.url))
attempt("resumed", lambda: store.download(store.head("big"), workspace.cache / "models" / "big", resumed=True))
print("ranges asked for:", len(ranges))
attempt("fetch", lambda: workspace.artifacts.path(workspace.artifacts.find("made", "0" * 32)))
attempt("claim", lambda: claim(Path(sys.argv[2]) / "deeper" / "cache"))
print("left:", [path.name for path in workspace.cache.rglob("*") if path.is_file() and path.name != ".locks"])
"""
READ_ONLY = """
attempt("claim", lambda: claim(workspace.cache))
attempt("run_once", lambda: run_once(workspace, Stage("stage", "1"), config={}, inputs={}, make=lambda d: {}))
attempt("download", lambda: store.download(store.head("big"), workspace.cache / "models" / "big"))
"""


def in_namespace(code, options, s3_endpoint, folder, fill=""):
    """What a process prints whose folder is a file system of its own."""
    private = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespace")
    script = f'mount -t tmpfs -o {options} none "{folder}" && {fill or "true"} && exec "$@"'
    command = [*private, "sh", "-c", script, "sh", sys.executable, "-c", HEAD + code, s3_endpoint, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def big(s3, workspace):
    """An object and an artifact of 8 MB."""
    s3.put_object(Bucket=BUCKET, Key="shop/big", Body=bytes(8 << 20))
    with workspace.artifacts.workdir() as directory:
        (directory / "big").write_bytes(bytes(8 << 20))
        workspace.artifacts.commit("made", "0" * 32, directory, counts={}, timings={}, lineage={})


def test_a_full_disk_is_named_and_nothing_is_left(big, s3_endpoint, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    output = in_namespace(FULL, "size=4m", s3_endpoint, folder)
    lines = dict(line.split(" | ", 1) for line in output.splitlines() if " | " in line)
    assert set(lines) == {"np.save", "Parquet", "text", "pipe", "download", "resumed", "fetch"}
    for message in lines.values():
        assert f"{folder}/cache" in message
        assert ": the disk is full. It was needed for " in message
        assert "MB are free" in message
        assert "Free some space there, or point RECOMMENDER_CACHE" in message
    assert all("the output of stage" in lines[way] for way in ("np.save", "Parquet", "text", "pipe"))
    assert all("MB were written and more is needed" in lines[way] for way in ("np.save", "Parquet", "text", "pipe"))
    assert "of 1048576 values of an array could be written" in lines["np.save"]
    assert all("8.4 MB are needed" in lines[way] for way in ("download", "resumed", "fetch"))
    assert "ranges asked for: 0" in output
    assert "objects: 2" in output  # of the artifact that was there before
    assert "left: []" in output


def test_a_read_only_disk_is_named(big, s3_endpoint, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    remount = f'mkdir "{folder}/cache" && mount -o remount,ro "{folder}"'
    output = in_namespace(READ_ONLY, "size=4m", s3_endpoint, folder, remount)
    assert output.count(": the file system is read-only. It was needed for ") == 3
    assert output.count("Mount it for writing, or point RECOMMENDER_CACHE elsewhere.") == 3


@pytest.mark.parametrize("number", sorted(REFUSALS))
def test_what_only_a_person_can_fix_is_never_retried(tmp_path, number):
    with (
        pytest.raises(ConfigError, match=f"^{tmp_path}: .* It was needed for a test") as raised,
        guarded(tmp_path, "a test"),
    ):
        raise OSError(number, os.strerror(number))
    assert type(to_airflow(raised.value)).__name__ == "AirflowFailException"


@pytest.mark.parametrize(
    "error",
    [
        OSError("8 requested and 3 written"),
        shutil.Error([("a", "b", "[Errno 28] No space left on device: 'a' -> 'b'")]),
        OSError("IOError: Error writing bytes to file. Detail: [errno 28] No space left on device"),
    ],
)
def test_a_full_disk_is_recognised_where_the_error_has_no_number(tmp_path, error):
    with pytest.raises(ConfigError, match="the disk is full"), guarded(tmp_path, "a test"):
        raise error


@pytest.mark.parametrize(
    "error", [ConnectionResetError(errno.ECONNRESET, "x"), TimeoutError(), OSError("odd"), ValueError()]
)
def test_what_is_not_of_the_disk_passes(tmp_path, error):
    with pytest.raises(type(error)) as raised, guarded(tmp_path, "a test"):
        raise error
    assert raised.value is error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="access is denied"), guarded(tmp_path, "a test"):
        (tmp_path / "file").write_text("x")
    tmp_path.chmod(0o700)
