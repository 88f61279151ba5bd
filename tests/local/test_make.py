"""What `make` does with the variables that a person gives it."""

import os
import subprocess

import pytest

from local.environment import PROJECT

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
    output = make("show", **GIVEN) if by == "environment" else make("show", *(f"{k}={v}" for k, v in GIVEN.items()))
    assert output.stdout.split("\n")[0] == 'a.json b.json {"factors": 8} 2018-10-01 8081 9011'
    assert not output.stderr


def test_without_any_the_defaults_are_those_that_help_prints():
    *texts, port, s3_port = make("show").stdout.split()
    assert (texts, port, s3_port) == ([], "8080", "9010")
    lines = [line for line in make("help").stdout.splitlines() if "=..." in line]
    assert {line.split("=...")[0].strip() for line in lines} == {*GIVEN, "ARGS", "API_PORT"}
    assert all(f"default {value}" in "".join(lines) for value in (port, s3_port))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "REVIEW=a.json"], "REVIEW=...: `make run` does not read that"),
        (["up", "reviews=a.json"], "reviews=...: `make up` does not read that"),
        (["registry", "CONF={}", "SNAPSHOT=2018-10-01"], "SNAPSHOT=...: `make registry` does not read that"),
        (["run", "PORT=8081"], "PORT=...: `make run` does not read that"),
        (["run", "AIRFLOW__CORE__PARALLELISM=8"], "AIRFLOW__CORE__PARALLELISM=...: `make run` does not read that"),
        (["FACTORS=8"], "FACTORS=...: `make help` does not read that"),
    ],
)
def test_a_variable_that_the_command_does_not_read_stops_it_before_anything_runs(words, named):
    done = make("--dry-run", *words)
    assert done.returncode == 2
    assert named in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["run", "REVIEWS=a", "CONF={}", "SNAPSHOT=2018-10-01", "S3_PORT=9011", "RECOMMENDER_SCHEDULE=none"],
        ["up", "REVIEWS=a", "CONF={}", "SNAPSHOT=2018-10-01", "S3_PORT=9011", "PORT=8081"],
        ["registry", "ARGS=list", "S3_PORT=9011"],
        ["down", "PORT=8081"],
        ["run", "registry", "ARGS=list", "REVIEWS=a"],
    ],
)
def test_what_a_command_reads_is_taken(words):
    done = make("--dry-run", *words)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelt_name_in_the_environment_is_named_and_stops_nothing():
    done = make("--dry-run", "run", REVIEW="a.json")
    assert done.returncode == 0
    assert "REVIEW in the environment: nothing here reads that" in done.stderr


def test_the_interpreters_own_settings_do_not_reach_the_recipes():
    show = "show: ; @env"
    done = make("show", f"--eval={show}", PYTHONHOME="/nowhere", PYTHONSTARTUP="/nowhere.py", PYTHONPATH="/nowhere")
    output = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert "PYTHONHOME" not in output
    assert "PYTHONSTARTUP" not in output
    assert output["PYTHONPATH"] == str(PROJECT)
