"""The user admin of the containers: made once, and given the password of `.env` at each start."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.login import ADMIN_PASSWORD, password_of
from include.recommender.errors import ConfigError

ROOT = Path(__file__).parents[2]
FAB = "airflow.providers.fab"
READ_HASH = """
import sqlite3, sys
from werkzeug.security import check_password_hash
rows = sqlite3.connect(sys.argv[1]).execute("select username, password from ab_user").fetchall()
print([(name, check_password_hash(stored, sys.argv[2])) for name, stored in rows])
"""


@pytest.mark.parametrize("given", [{}, {ADMIN_PASSWORD: ""}, {ADMIN_PASSWORD: "short"}])
def test_a_missing_or_short_password_is_named_and_not_shown(given):
    with pytest.raises(ConfigError, match=r"AIRFLOW_ADMIN_PASSWORD has \d characters") as caught:
        password_of(given)
    assert "short" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec(FAB) is None, reason="NOT CHECKED: FAB is in the image alone; make compose-try logs in there"
)
def test_the_admin_is_made_kept_and_given_a_new_password(tmp_path):
    database = tmp_path / "airflow.db"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__AUTH_MANAGER": f"{FAB}.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
    }

    def run(*words, **more):
        command = [sys.executable, *words]
        done = subprocess.run(command, env=environment | more, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip().rpartition("\n")[2]

    run("-m", "airflow", "db", "migrate")
    first, second = "first-password", "second-password"
    assert run("-m", "deploy.login", AIRFLOW_ADMIN_PASSWORD=first).startswith("login: user admin made;")
    assert run("-m", "deploy.login", AIRFLOW_ADMIN_PASSWORD=first).startswith("login: user admin kept;")
    assert run("-c", READ_HASH, str(database), first) == "[('admin', True)]"
    assert run("-m", "deploy.login", AIRFLOW_ADMIN_PASSWORD=second).startswith("login: user admin has a new password;")
    assert run("-c", READ_HASH, str(database), second) == "[('admin', True)]"
