"""PostgreSQL of the laptop: it starts where the PATH names no administration commands, and says why it does not."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from local.environment import PROJECT

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only as root does PostgreSQL need a user of its own")
START = """
import sys
from pathlib import Path
from local.home import Home
from local.postgres import database
from include.recommender.errors import ConfigError
home = Home(Path(sys.argv[1]))
try:
    with home.own("a test"), database(home) as server:
        print(server.url)
except ConfigError as error:
    print("ConfigError:", error)
"""


@pytest.fixture
def folder():
    """A short one: the path of a Unix socket ends at 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def start(folder, code=START, **environment):
    """What a process says that starts the server, its environment holding little."""
    done = subprocess.run(
        [sys.executable, "-c", code, folder / ".local"],
        env={"PYTHONPATH": str(PROJECT), "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("path", ["/usr/local/bin:/usr/bin:/bin", "/usr/bin:/bin:/usr/sbin"])
def test_starts_whether_or_not_the_path_reaches_the_administration_commands(folder, path):
    assert start(folder, PATH=path).startswith("postgresql+psycopg2://postgres@/airflow?host=")


@ROOT_ONLY
def test_a_machine_without_useradd_gets_a_message_with_what_is_needed(folder):
    unknown = (
        "import pwd\npwd.getpwnam = lambda name: {}[name]\nfrom local import postgres\npostgres.ADMINISTRATION = ()\n"
    )
    output = start(folder, unknown + START, PATH="/nowhere")
    assert "PostgreSQL did not start" in output
    assert "`useradd`" in output


def test_a_folder_that_it_cannot_use_is_named(folder):
    (folder / ".local").mkdir()
    (folder / ".local" / "pg").write_text("a file")
    assert f"PostgreSQL did not start in {folder}/.local/pg" in start(folder, PATH=os.environ["PATH"])
