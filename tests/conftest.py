"""A real S3 server (moto) for the session, an empty bucket a test, and Airflow on SQLite where a test runs a DAG."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from importlib.metadata import version
from pathlib import Path

import boto3
import botocore.loaders
import pytest

ROOT = Path(__file__).parents[1]
BUCKET = "reviews"
# Before any test imports Airflow, which reads its configuration once.
HOME = Path(tempfile.mkdtemp(prefix="recommender-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(HOME / "logs"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME / 'airflow.db'}",
    AWS_EC2_METADATA_DISABLED="true",
    OPENBLAS_NUM_THREADS="1",
)
os.environ.pop("AWS_PROFILE", None)


def _read_once(load):
    """botocore reads the models of the services anew in each session, and each task of a DAG has one."""
    found = {}

    def loaded(self, path):
        if path not in found:
            found[path] = load(self, path)
        return found[path]

    return loaded


botocore.loaders.JSONFileLoader.load_file = _read_once(botocore.loaders.JSONFileLoader.load_file)


def pytest_addoption(parser):
    """How thoroughly tests/faults/test_kills.py kills."""
    parser.addoption("--all-kills", action="store_true", help="kill each stage at every moment, not at some")


@pytest.fixture(scope="session")
def s3_endpoint():
    """Address of an S3 server on loopback."""
    from moto import backends
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    # moto looks through its folder at every request, a sixth of the time of one.
    modules = list(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    app = one_condition_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_silent(MotoRequestHandler))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def _silent(handler):
    """The same handler without a log line for each of the many thousand requests."""
    return type("SilentHandler", (handler,), {"log_request": lambda *_: None})


def one_condition_at_a_time(app):
    """The same store with atomic conditional writes: moto looks at the condition and then writes, so two may win."""
    lock = threading.Lock()

    def decided(environ, start_response):
        if "HTTP_IF_MATCH" not in environ and "HTTP_IF_NONE_MATCH" not in environ:
            return app(environ, start_response)
        with lock:
            return app(environ, start_response)

    return decided


@pytest.fixture
def s3(s3_endpoint):
    """A client of the server, with one empty bucket in it."""
    urllib.request.urlopen(urllib.request.Request(f"{s3_endpoint}/moto-api/reset", method="POST")).close()
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def workspace(s3, tmp_path):
    """The stores of a run on the empty bucket."""
    from include.recommender.stages.workspace import Workspace
    from include.recommender.storage.objects import ObjectStore

    return Workspace(ObjectStore(s3, BUCKET, "shop"), ObjectStore(s3, BUCKET, "shop/snapshots"), tmp_path / "cache")


@pytest.fixture(scope="session")
def airflow_database():
    """A migrated SQLite database of this session; a template of it stays in .local, since migrating takes long."""
    template = ROOT / ".local" / "tests" / f"airflow-{version('apache-airflow')}.db"
    database = HOME / "airflow.db"
    if template.exists():
        shutil.copyfile(template, database)
        return
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    template.parent.mkdir(parents=True, exist_ok=True)
    part = template.with_suffix(f".{os.getpid()}")
    shutil.copyfile(database, part)
    part.rename(template)


@pytest.fixture
def deployment(airflow_database, s3, s3_endpoint, tmp_path, monkeypatch):
    """The environment of a worker whose bucket is the empty one."""
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test",
        "extra": {"endpoint_url": s3_endpoint, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("RECOMMENDER_ROOT", f"s3://{BUCKET}/shop")
    monkeypatch.setenv("RECOMMENDER_CACHE", str(tmp_path / "cache"))
