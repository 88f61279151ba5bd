"""Settings, keys and shares."""

import json

import pytest

from include.recommender.api import keys
from include.recommender.api.audience import place_of
from include.recommender.api.settings import Settings
from include.recommender.errors import ConfigError

ROOT = {"RECOMMENDER_ROOT": "s3://shop", "RECOMMENDER_CACHE": "/cache", "RECOMMENDER_API_OPEN": "1"}


def test_the_environment_gives_the_settings():
    read = Settings.from_environment({**ROOT, "RECOMMENDER_API_QUEUE": "7", "RECOMMENDER_API_LOG_LISTS": "0"})
    assert (read.root, read.config.queue, read.config.log_lists, read.config.open) == ("s3://shop", 7, False, True)
    assert read.config.channel == "production"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"RECOMMENDER_API_QUEUE": "0"}, "API_QUEUE=0"),
        ({"RECOMMENDER_API_QUEUE": "many"}, "API_QUEUE='many'"),
        ({"RECOMMENDER_API_OPEN": "yes"}, "API_OPEN='yes'"),
        ({"RECOMMENDER_API_OPEN": ""}, "either RECOMMENDER_API_KEYS_FILE"),
        ({"RECOMMENDER_API_KEYS_FILE": "/keys"}, "either RECOMMENDER_API_KEYS_FILE"),
        ({"RECOMMENDER_API_SHARE": "5"}, "did you mean RECOMMENDER_API_SECOND_SHARE"),
        ({"RECOMMENDER_API_QUEU": "5"}, "did you mean RECOMMENDER_API_QUEUE"),
        ({"RECOMMENDER_API_SECOND_SHARE": "0.5"}, "SECOND_CHANNEL and RECOMMENDER_API_SECOND_SHARE"),
        ({"RECOMMENDER_API_SECOND_CHANNEL": "b"}, "SECOND_CHANNEL and RECOMMENDER_API_SECOND_SHARE"),
        ({"RECOMMENDER_API_SECOND_CHANNEL": "production", "RECOMMENDER_API_SECOND_SHARE": "0.5"}, "another one"),
        ({"RECOMMENDER_API_SECOND_SHARE": "1.5"}, "API_SECOND_SHARE=1.5"),
        ({"RECOMMENDER_ROOT": ""}, "RECOMMENDER_ROOT is not set"),
        ({"RECOMMENDER_API_CHANNEL": "../x"}, "API_CHANNEL='../x'"),
    ],
)
def test_what_is_wrong_is_named(given, names):
    with pytest.raises(ConfigError, match=names.replace("(", r"\(")):
        Settings.from_environment({**ROOT, **given})


def test_a_user_has_one_place_in_an_experiment_and_another_in_the_next():
    users = [f"user-{number}" for number in range(20_000)]
    first, second = ([place_of(name, user) for user in users] for name in ("a", "b"))
    assert first == [place_of("a", user) for user in users]
    for share in (0.01, 0.1, 0.5):
        drawn = {user for user, place in zip(users, first, strict=True) if place < share}
        again = {user for user, place in zip(users, second, strict=True) if place < share}
        assert len(drawn) == pytest.approx(share * len(users), rel=0.15)
        assert len(drawn & again) == pytest.approx(share * len(drawn), rel=0.5, abs=10)
    assert place_of("a", "\ud800") < 1


def test_the_file_holds_no_key_and_is_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "keys.json"
    key = keys.add_key(path, "shop")
    assert key not in path.read_text()
    assert len(key) >= 43
    assert path.stat().st_mode & 0o077 == 0
    assert keys.Keys(path).caller(key) == "shop"
    for wrong in ("", key[:-1], key + "x", key.lower(), "é", "x" * 10_000):
        assert keys.Keys(path).caller(wrong) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"keys": {}}', '{"keys": {"a": "short"}}', '{"keys": {"a b": "%s"}}' % ("0" * 64)]
)
def test_a_file_that_holds_no_usable_key_does_not_start_a_server(tmp_path, text):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        keys.Keys(path)


def test_the_command_adds_lists_and_removes(tmp_path, capsys):
    options = ["--file", str(tmp_path / "keys.json")]
    assert keys.main(["add", "shop", *options]) == 0
    key = capsys.readouterr().out.strip()
    assert keys.Keys(tmp_path / "keys.json").caller(key) == "shop"
    assert keys.main(["add", "shop", *options]) == 1
    assert "shop has a key" in capsys.readouterr().err
    assert keys.main(["add", "sh op", *options]) == 1
    assert keys.main(["add", "web", *options]) == 0
    capsys.readouterr()
    assert keys.main(["list", *options]) == 0
    assert capsys.readouterr().out.split() == ["shop", "web"]
    assert keys.main(["remove", "shop", *options]) == 0
    assert json.loads((tmp_path / "keys.json").read_text())["keys"].keys() == {"web"}
    assert keys.main(["remove", "shop", *options]) == 1
