"""What `make` does with the variables that a person gives it."""

import os
import subprocess

import pytest

from local.home import PROJECT

# A target of the test's own, which needs no environment of Python.
SHOW = "show: ; @echo \"$$REVIEWS $$CONF $$SNAPSHOT\" '$(PORT) $(S3_PORT)'"
PORTS = {"PORT": "8081", "S3_PORT": "9011"}
GIVEN = {"REVIEWS": "a.json b.json", "CONF": '{"factors": 8}', "SNAPSHOT": "2018-10-01", **PORTS}


def make(*words, **environment):
    """A finished make, whose variables come from its command line and from the environment given."""
    kept = {name: value for name, value in os.environ.items() if name not in GIVEN and not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--no-print-directory", f"--eval={SHOW}", *words],
        env=kept | environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("by", ["command line", "environment"])
def test_variables_are_taken_from_the_command_line_and_from_the_environment(by):
    told = make("show", **GIVEN) if by == "environment" else make("show", *(f"{k}={v}" for k, v in GIVEN.items()))
    assert told.stdout.split("\n")[0] == 'a.json b.json {"factors": 8} 2018-10-01 8081 9011'
    assert not told.stderr


def test_without_any_the_defaults_are_those_that_help_tells():
    *texts, port, s3_port = make("show").stdout.split()
    assert (texts, port, s3_port) == ([], "8080", "9010")
    lines = [line for line in make("help").stdout.splitlines() if "=..." in line]
    assert {line.split("=...")[0].strip() for line in lines} == {*GIVEN, "ARGS"}
    assert all(f"default {value}" in "".join(lines) for value in (port, s3_port))


def test_a_misspelt_variable_is_named():
    assert "REVIEW=...: nothing here reads that" in make("show", "REVIEW=a.json").stderr
