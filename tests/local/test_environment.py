"""A person's environment does not reach the stand-ins; the project's settings do, and a misspelt one is refused."""

import os
import subprocess
import sys

import pytest

from deploy.stack import SETTINGS, SIGNING_BYTES, Store
from include.recommender.errors import ConfigError
from local import environment, shell
from local.airflow_env import airflow_environment
from local.environment import PROJECT, check_settings, isolated

HOSTILE = {
    "AWS_PROFILE": "no-such-profile",
    "AWS_DEFAULT_PROFILE": "no-such-profile",
    "AWS_ACCESS_KEY_ID": "AKIAOTHER",
    "AWS_SECRET_ACCESS_KEY": "other",
    "AWS_SESSION_TOKEN": "other",
    "AWS_ENDPOINT_URL": "http://192.0.2.1:1",
    "AWS_ENDPOINT_URL_S3": "http://192.0.2.1:1",
    "AWS_REGION": "mars-1",
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_CA_BUNDLE": "/nowhere.pem",
    "AWS_ROLE_ARN": "arn:aws:iam::1:role/x",
    "REQUESTS_CA_BUNDLE": "/nowhere.pem",
    "SSL_CERT_FILE": "/nowhere.pem",
    "HTTP_PROXY": "http://192.0.2.1:3128",
    "http_proxy": "http://192.0.2.1:3128",
    "HTTPS_PROXY": "http://192.0.2.1:3128",
    "ALL_PROXY": "socks5://192.0.2.1:1080",
    "AIRFLOW_HOME": "/nowhere",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "True",
    "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Mars/Base",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://elsewhere/db",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "false",
    "AIRFLOW_CONN_AWS_DEFAULT": "aws://wrong:wrong@",
    "PGHOST": "elsewhere",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGSERVICE": "none",
    "PGOPTIONS": "-c nonsense=1",
    "PYTHONHOME": "/nowhere",
    "PYTHONSTARTUP": "/nowhere.py",
    "PYTHONWARNINGS": "error",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "TkAgg",
    "MAKEFLAGS": "n",
    "BOTO_CONFIG": "/nowhere",
    "LC_ALL": "C",
    "PGSERVER_POSTGRES_VERSION": "99",
}
STORE = Store("http://127.0.0.1:9", "local-1", "its secret")


def test_nothing_of_a_hostile_environment_is_kept_but_locale():
    kept = isolated(HOSTILE | {"PATH": "/bin", "HOME": "/home/me", "RECOMMENDER_SCHEDULE": "@monthly"})
    assert {"PATH", "HOME", "LC_ALL", "RECOMMENDER_SCHEDULE"} <= kept.keys()
    assert {name for name in HOSTILE if kept.get(name) == HOSTILE[name]} == {"LC_ALL"}
    assert kept["PYTHONPATH"] == str(PROJECT)


def test_clients_reach_the_local_store_whatever_the_environment_and_the_users_files_say(home, port):
    (home.path.parent / ".aws").mkdir()
    (home.path.parent / ".aws" / "config").write_text(
        "[default]\nregion = mars-1\nendpoint_url = http://192.0.2.1:1\nservices = mine\n"
    )
    code = """
from local.environment import isolate
isolate()
import sys
from pathlib import Path
from local import store
from local.home import Home
home = Home(Path(sys.argv[1]))
with home.own("a test"), store.serve(home, int(sys.argv[2])) as server:
    print([row["Name"] for row in server.client().list_buckets()["Buckets"]], store.serves(server.endpoint))
"""
    hostile = {name: value for name, value in HOSTILE.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(home.path), str(port)],
        env=hostile | {"PATH": os.environ["PATH"], "HOME": str(home.path.parent), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['recommender'] True\n", done.stderr


def test_a_shell_that_reads_the_file_forgets_the_users_own(home):
    path = shell.write(home, STORE, airflow_environment(home, STORE, "s3://b/r", "x"))
    done = subprocess.run(
        ["/bin/sh", "-ec", '. "$1"; env -0', "sh", path],
        env=HOSTILE | {"PATH": "/usr/bin:/bin", "LINES_IN_IT": "a\nAWS_PROFILE\nnot a name=1", "KEPT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(row.split("=", 1) for row in done.stdout.split("\0") if row)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTP_PROXY", "http_proxy", "PGHOST", "PYTHONHOME"} & found.keys()
    assert found["AIRFLOW_HOME"] == str(home.path / "airflow")
    assert found["AWS_ACCESS_KEY_ID"] == STORE.key_id
    assert found["KEPT"] == "1"
    assert "AWS_PROFILE" not in shell.read(home)


@pytest.mark.parametrize("name", ["RECOMMENDER_APROVAL", "RECOMMENDER_SHEDULE", "RECOMMENDER_TRAINING_POOLS"])
def test_a_misspelt_setting_is_refused_with_the_right_one(name):
    with pytest.raises(ConfigError, match=rf"{name}: there is no such setting; did you mean RECOMMENDER_[A-Z_]+\?"):
        check_settings({name: "1"})


def test_every_setting_that_the_code_reads_is_taken():
    check_settings(dict.fromkeys(SETTINGS, "1") | {environment.MARK: "x"})


def test_the_keys_of_airflow_are_long_enough_private_and_stay(home):
    first, second = (airflow_environment(home, STORE, "s3://b/r", "x") for _ in range(2))
    assert first == second
    for name in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"):
        assert len(first[name].encode()) >= SIGNING_BYTES == 64
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (home.path / "airflow").glob("*.key"))
