"""`.local/env.sh`: a shell that reads it has the stack's environment unchanged; nobody else can read it."""

import subprocess

import pytest

from deploy.stack import BUCKET, Store
from local import shell
from local.home import Home
from local.stack import _environment

STORE = Store("http://127.0.0.1:9", "local-1", "its secret")
NASTY = 'it\'s "quoted", $HOME, `id`, a\\b and\nanother line'


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "a folder" / ".local")


def environment(home, store=STORE):
    return _environment(home, 8080, store, f"s3://{BUCKET}/samples", "sqlite://")


def sourced(path, command):
    """What a command says in a shell that has read the file and knows nothing else."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'. "$1"; {command}', "sh", path],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_shell_gets_every_value_unchanged(home):
    output = environment(home) | {"AIRFLOW__NASTY": NASTY}
    path = shell.write(home, STORE, output)
    found = dict(row.split("=", 1) for row in sourced(path, "env -0").split("\0") if row)
    assert {name: found.get(name) for name in output} == output


def test_the_operators_settings_are_in_it(home, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_SCHEDULE", "@monthly")
    monkeypatch.setenv("RECOMMENDER_ROOT", "s3://somewhere/else")
    path = shell.write(home, STORE, environment(home))
    assert sourced(path, 'echo "$RECOMMENDER_SCHEDULE $RECOMMENDER_ROOT"') == f"@monthly s3://{BUCKET}/samples\n"


def test_only_its_owner_can_read_it_though_a_wider_one_was_there(home):
    home.path.mkdir(parents=True)
    (home.path / "env.sh").touch(0o666)
    (home.path / "env.sh").chmod(0o666)
    assert shell.write(home, STORE, {}).stat().st_mode & 0o777 == 0o600


def test_the_registrys_commands_need_nothing_else(home, s3_endpoint, s3):
    s3.create_bucket(Bucket=BUCKET)
    store = Store(s3_endpoint, "testing", "testing")
    path = shell.write(home, store, environment(home, store))
    output = sourced(path, "cd /; python -m include.recommender.console --json list")
    assert output.strip() == "[]"


def test_settings_reach_airflow_except_where_the_stack_decides(home, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_TRAINING_POOL", "mine")
    monkeypatch.setenv("RECOMMENDER_ROOT", "s3://somewhere/else")
    whole = environment(home)
    assert whole["RECOMMENDER_TRAINING_POOL"] == "mine"
    assert whole["RECOMMENDER_ROOT"] == f"s3://{BUCKET}/samples"
