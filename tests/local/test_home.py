"""The directory of the stand-ins: whose it is, and which processes belong to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.recommender.errors import ConfigError
from local.home import Home

# Prints whether a process below a marked one counts itself or its callers among the leftovers.
ASK = """
import os, psutil, sys
from pathlib import Path
from local.home import Home
callers = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
print(sorted(callers & {each.pid for each in Home(Path(sys.argv[1])).leftovers()}))
"""


def test_a_folder_of_somebody_else_is_refused_untouched(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    (folder / "logs").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="was not made by this project"), Home(folder).own("a test"):
        pass
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "logs")] == ["0o755", "0o755"]
    assert [path.name for path in folder.iterdir()] == ["logs"]


@pytest.mark.parametrize("name", [".local", "a new folder"])
def test_a_folder_of_our_own_is_taken_again(tmp_path, name):
    for _ in range(2):
        with Home(tmp_path / name).own("a test"):
            assert (tmp_path / name / "logs").is_dir()


def test_who_asks_from_below_a_marked_process_is_not_ended(tmp_path):
    home = Home(tmp_path / ".local")
    with home.own("a test"):
        pass
    command = ["sh", "-c", '"$@"; :', "sh", "env", "-i", sys.executable, "-c", ASK, str(home.path)]
    marked = home.child_environment({})
    done = subprocess.run(command, env=marked, cwd=Path.cwd(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", done.stderr
    assert os.getpid() not in {each.pid for each in home.leftovers()}
