"""What the options of the command line accept, refuse and explain."""

import os
import re
import subprocess
import sys

import pytest

from include.recommender.console.adding import Typed
from include.recommender.console.cli import main, parser
from include.recommender.errors import ConfigError
from include.recommender.registry.registry import Actor

from ..conftest import ROOT
from ..registry.makers import M1, M2, M3, OLD, line, move, publish


def test_who_is_the_user_unless_given(registry, ask):
    line(registry, M1, M2)
    _, body = ask("rollback", "--why", "x")
    assert re.fullmatch(r".+@.+", body["who"])


def test_errors_are_reported_on_stderr_without_a_traceback(registry, run):
    line(registry, M1, M2)
    publish(registry, OLD)
    for argv, expected in [
        (["show", "m9"], "models/m9: there is no such version"),
        (["promote", OLD, "--why", "x"], "--allow-older"),
        (["rollback", "--to", OLD, "--why", "x"], f"goes to one of {M1}"),
        (["rollback", "--why", "x", "--channel", "staging"], "points nowhere yet"),
        (["list", "--root", "s3://no-such-bucket"], "the bucket does not exist"),
        (["list", "--root", "nonsense"], "is not an S3 URI"),
        (["list", "--endpoint-url", "nonsense"], "Invalid endpoint"),
        (["retire", "--endpoint-url", "http://127.0.0.1:1"], "Cannot list s3://reviews/shop"),
    ]:
        status, out, err = run(*argv)
        assert (status, out) == (1, ""), argv
        assert expected in err
        assert "Traceback" not in err
    assert registry.channels.read("production").model_id == M2
    assert run("promote", OLD, "--why", "x", "--allow-older")[0] == 0


def test_no_root_is_an_error_that_says_how(run, monkeypatch):
    monkeypatch.delenv("RECOMMENDER_ROOT")
    status, _, err = run("list")
    assert (status, "RECOMMENDER_ROOT" in err) == (1, True)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["turn"],
        ["promote", M1],
        ["rollback"],
        ["retire", "--keep-newest", "-1"],
        ["retire", "--yes", "--dry-run"],
        ["history", "--channel", "../x"],
    ],
)
def test_what_is_not_understood_ends_with_two(argv, capsys):
    with pytest.raises(SystemExit) as raised:
        main(argv)
    assert raised.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_global_options_are_understood_before_and_after_the_command(registry, run, monkeypatch, s3_endpoint):
    line(registry, M1)
    monkeypatch.delenv("RECOMMENDER_ROOT")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    given = ["--root", "s3://reviews/shop", "--endpoint-url", s3_endpoint, "--json"]
    assert run(*given, "list") == run("list", *given)


def test_the_module_runs_and_a_reader_that_has_enough_is_no_error(registry):
    line(registry, M1)
    command = [sys.executable, "-m", "include.recommender.console"]
    ended = subprocess.run([*command, "list"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "<- production" in ended.stdout
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([*command, "list"], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_the_command_line_brings_no_airflow_and_no_trainer():
    """It answers in a second; Airflow alone would take longer to import."""
    code = "import sys, include.recommender.console.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"airflow", "implicit", "matplotlib"} & set(ended.stdout.split())


def test_a_misspelt_channel_is_not_created(registry, run):
    line(registry, M1, M2)
    move(registry, M1, channel="staging")
    status, out, err = run("promote", M1, "--channel", "stagin", "--why", "x")
    assert (status, out) == (1, "")
    assert "there is no channel stagin" in err
    assert "Did you mean staging?" in err
    assert "Channels: production, staging." in err
    assert "--create" in err
    for words in (["rollback", "--why", "x"], ["history"]):
        status, _, err = run(*words, "--channel", "stagin")
        assert (status, "Did you mean staging?" in err) == (1, True)
    assert registry.channels.names() == ["production", "staging"]
    assert run("promote", M1, "--channel", "stagin", "--why", "x", "--create")[0] == 0
    assert registry.channels.read("stagin").model_id == M1


def test_the_first_promotion_creates_the_main_channel_and_no_other(registry, run):
    publish(registry, M1)
    assert run("promote", M1, "--channel", "prod", "--why", "x")[0] == 1
    assert run("promote", M1, "--why", "x")[0] == 0
    assert registry.channels.names() == ["production"]


def test_rollback_reads_the_files_unless_asked_not_to(registry, run, ask):
    line(registry, M1, M2, M3)
    key = f"models/{M2}/judged_prior.npy"
    whole = registry.objects.read(key)
    registry.objects.write(key, whole[:-1] + b"\x00")
    status, _, err = run("rollback", "--why", "x")
    assert status == 1
    assert f"{key}: SHA-256 is" in err
    assert f"\npython -m include.recommender.console rollback --to {M1} --why ...\n" in err
    status, out, _ = run("rollback", "--why", "x", "--no-verify")
    assert status == 0
    assert "Its files were not read" in out
    assert ask("rollback", "--why", "y")[1]["verified"] is True


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--why", " "], "argument --why: ' ': expected text of 1 to 4,000 characters"),
        (["--why", "x", "--who", ""], "argument --who: '': expected text of 1 to 200 characters"),
        (["--why", "x" * 4001], "... (4,001 characters): expected text of 1 to 4,000 characters"),
        (["--why", "x", "--who", "y" * 201], "... (201 characters): expected text of 1 to 200 characters"),
    ],
)
def test_what_is_kept_permanently_is_bounded(registry, run, capsys, words, expected):
    line(registry, M1, M2)
    for command in (["rollback"], ["promote", M1, "--allow-older"]):
        with pytest.raises(SystemExit) as raised:
            run(*command, *words)
        assert (raised.value.code, expected in capsys.readouterr().err) == (2, True)
    assert registry.channels.read("production").move.number == 2


@pytest.mark.parametrize("given", [{"who": "", "why": " "}, {"who": "y" * 201, "why": "x" * 4001}])
def test_what_is_kept_permanently_is_bounded_within_the_library_too(registry, given):
    line(registry, M1, M2)
    with pytest.raises(ConfigError) as caught:
        registry.rollback("production", by=Actor(**given))
    assert [problem.partition("=")[0] for problem in caught.value.problems] == ["who", "why"]
    assert registry.channels.read("production").move.number == 2


MAKE, QUOTE = "make registry ARGS='{}'", "'"


@pytest.mark.parametrize("typed", [Typed(), Typed(MAKE)])
def test_the_help_shows_commands_as_they_are_typed(typed, capsys):
    top = parser(typed).format_help()
    for name in ("list", "show", "compare", "history", "promote", "rollback", "retire", "verify", "card"):
        with pytest.raises(SystemExit) as raised:
            main([name, "--help"], typed)
        assert raised.value.code == 0
        text = capsys.readouterr().out
        example = f"  {typed(name).removesuffix(QUOTE)}"
        assert example in text.partition("examples:")[2]
        assert example in top.partition("examples:")[2]
        for shown in (top, text):
            assert ("python -m" in shown) == (typed == Typed())
            assert ("make registry" in shown) == (typed != Typed())
    if typed != Typed():
        assert top.startswith("usage: make registry ARGS='[-h]")
        with pytest.raises(SystemExit):
            main(["promote"], typed)
        assert "make registry ARGS='promote': error: the following arguments" in capsys.readouterr().err


def test_messages_name_commands_as_they_are_typed(registry, capsys):
    line(registry, M1, M2, M3)
    registry.objects.delete([f"models/{M2}/fold.json"])
    assert main(["rollback", "--why", "x"], Typed(MAKE)) == 1
    assert capsys.readouterr().err.endswith(f"\nmake registry ARGS='rollback --to {M1} --why ...'\n")
