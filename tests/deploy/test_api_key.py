"""The key of the online API in containers: its digest is kept, other keys stay, and a changed key replaces its own."""

import stat

import pytest

from deploy.api_key import CALLER, main, prepare
from deploy.make_env import SECRETS
from include.recommender.api.keys import Keys, add_key, read_keys
from include.recommender.errors import ConfigError

OLD, NEW = SECRETS["API_KEY"](), SECRETS["API_KEY"]()


def test_a_key_counts_and_is_not_in_the_file(tmp_path):
    path = tmp_path / "keys.json"
    prepare(path, {"API_KEY": OLD})
    assert Keys(path).caller(OLD) == CALLER
    assert OLD not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_changed_key_replaces_its_own_and_no_other_in_a_running_server(tmp_path):
    path = tmp_path / "keys.json"
    prepare(path, {"API_KEY": OLD})
    other = add_key(path, "shop")
    keys = Keys(path)
    prepare(path, {"API_KEY": NEW})
    assert [keys.caller(key) for key in (OLD, NEW, other)] == [None, CALLER, "shop"]


def test_the_same_key_again_changes_nothing(tmp_path):
    path = tmp_path / "keys.json"
    for _ in range(2):
        prepare(path, {"API_KEY": OLD})
    assert list(read_keys(path).keys) == [CALLER]


@pytest.mark.parametrize("environment", [{}, {"API_KEY": ""}, {"API_KEY": "short" * 6}])
def test_a_short_key_is_refused(tmp_path, environment):
    with pytest.raises(ConfigError, match=r"expected at least 32"):
        prepare(tmp_path / "keys.json", environment)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_kept_and_named(tmp_path, monkeypatch, capsys):
    path = tmp_path / "keys.json"
    path.write_text("{}")
    monkeypatch.setenv("API_KEY", OLD)
    assert main([str(path)]) == 1
    assert path.read_text() == "{}"
    printed = capsys.readouterr()
    assert str(path) in printed.err
    assert OLD not in printed.err + printed.out
