"""The secrets of the Docker stack: fresh, private, and never changed afterwards."""

import base64
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.make_env import SECRETS, create, given, main, missing

ROOT = Path(__file__).parents[2]


def values(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_makes_every_secret_with_mode_600_whatever_the_umask(tmp_path):
    path = tmp_path / ".env"
    before = os.umask(0)
    try:
        assert create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(values(path)) == list(SECRETS)
    assert missing(path) == []


def test_no_two_files_and_no_two_secrets_are_alike(tmp_path):
    files = [tmp_path / name for name in ("a", "b")]
    assert all(create(path) for path in files)
    secrets = [secret for path in files for secret in values(path).values()]
    assert len(set(secrets)) == 2 * len(SECRETS)
    assert min(map(len, secrets)) >= 20


def test_secrets_need_no_quoting_in_urls_json_or_shell(tmp_path):
    create(tmp_path / ".env")
    made = values(tmp_path / ".env")
    assert len(base64.urlsafe_b64decode(made.pop("AIRFLOW_FERNET_KEY"))) == 32
    assert all(secret.isalnum() for secret in made.values())


def test_an_existing_file_is_kept_to_the_byte(tmp_path, capsys):
    path = tmp_path / ".env"
    create(path)
    before = path.read_bytes()
    assert main([str(path)]) == 0
    assert path.read_bytes() == before
    assert "kept" in capsys.readouterr().out


def test_an_incomplete_file_is_named_and_not_touched(tmp_path, capsys):
    path = tmp_path / ".env"
    create(path)
    path.write_text(path.read_text().replace("AIRFLOW_JWT_SECRET=", "AIRFLOW_JWT_SECRET=\nOTHER="))
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    error = capsys.readouterr().err
    assert str(path) in error
    assert "AIRFLOW_JWT_SECRET" in error


def test_quotes_are_no_part_of_a_value_and_an_empty_one_counts_as_missing(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A='b c'\nexport B=\"d\"\nC=''\nD=\"\"\nE='\nF=it's\nG=\nAPI_KEY=''\nPOSTGRES_PASSWORD='a'\n")
    assert given(path) == {"A": "b c", "B": "d", "E": "'", "F": "it's", "POSTGRES_PASSWORD": "a"}
    assert missing(path) == [name for name in SECRETS if name != "POSTGRES_PASSWORD"]


def test_a_quoted_fernet_key_is_kept_without_its_quotes(tmp_path):
    path = tmp_path / ".env"
    path.write_text("AIRFLOW_FERNET_KEY='old'\n")
    assert main([str(path), "--renew", "AIRFLOW_FERNET_KEY"]) == 0
    assert given(path)["AIRFLOW_FERNET_KEY"].endswith(",old")


def test_a_file_that_others_can_read_is_refused(tmp_path, capsys):
    path = tmp_path / ".env"
    create(path)
    path.chmod(0o644)
    assert main([str(path)]) == 1
    assert f"chmod 600 {path}" in capsys.readouterr().err


def test_a_missing_directory_is_an_error_that_names_it(tmp_path, capsys):
    path = tmp_path / "absent" / ".env"
    assert main([str(path)]) == 1
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_runs_without_any_package_and_prints_no_secret(tmp_path, arguments):
    path = tmp_path / ".env"
    command = [sys.executable, "-S", "-m", "deploy.make_env", *arguments, *([] if arguments else [str(path)])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout
    if path.exists():
        assert not any(secret in done.stdout + done.stderr for secret in values(path).values())


def test_signing_keys_have_the_bytes_that_hs512_asks_for(tmp_path):
    create(tmp_path / ".env")
    made = values(tmp_path / ".env")
    assert all(len(made[name]) >= 64 for name in ("AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY"))


def test_a_short_signing_key_of_an_older_file_is_named_and_not_shown(tmp_path, capsys):
    path = tmp_path / ".env"
    create(path)
    path.write_text(re.sub("AIRFLOW_JWT_SECRET=.*", "AIRFLOW_JWT_SECRET=hunter2", path.read_text()))
    assert main([str(path)]) == 1
    error = capsys.readouterr().err
    assert "AIRFLOW_JWT_SECRET is shorter than 64" in error
    assert "hunter2" not in error


def test_settings_may_stand_beside_the_secrets_and_a_misspelt_one_is_named(tmp_path, capsys):
    path = tmp_path / ".env"
    create(path)
    with path.open("a") as file:
        file.write("RECOMMENDER_SCHEDULE=@monthly\nRECOMMENDER_NOTIFIERS='[]'\nRECOMMENDER_WAIT_HOURS=\n")
    assert main([str(path)]) == 0
    with path.open("a") as file:
        file.write("RECOMMENDER_SHEDULE=@daily\nexport RECOMMENDER_CACHE=/tmp\n")
    assert main([str(path)]) == 1
    assert "RECOMMENDER_SHEDULE, RECOMMENDER_CACHE reaches no container" in capsys.readouterr().err


def test_one_secret_is_renewed_and_the_rest_of_the_file_stays(tmp_path, capsys):
    path = tmp_path / ".env"
    create(path)
    with path.open("a") as file:
        file.write("RECOMMENDER_SCHEDULE=@monthly\n")
    before = path.read_text()
    assert main([str(path), "--renew", "API_KEY"]) == 0
    after = path.read_text()
    assert values(path)["API_KEY"] not in before
    assert values(path)["API_KEY"] not in capsys.readouterr().out
    assert [line for line in after.splitlines() if not line.startswith("API_KEY=")] == [
        line for line in before.splitlines() if not line.startswith("API_KEY=")
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_several_secrets_are_renewed_at_once(tmp_path, capsys):
    path = tmp_path / ".env"
    create(path)
    before = values(path)
    assert main([str(path), "--renew", "API_KEY", "--renew", "POSTGRES_PASSWORD"]) == 0
    changed = {name for name, value in values(path).items() if value != before[name]}
    assert changed == {"API_KEY", "POSTGRES_PASSWORD"}
    assert "API_KEY and POSTGRES_PASSWORD are new" in capsys.readouterr().out


def test_the_old_fernet_key_is_kept_until_it_is_forgotten(tmp_path):
    path = tmp_path / ".env"
    create(path)
    old = values(path)["AIRFLOW_FERNET_KEY"]
    assert main([str(path), "--renew", "AIRFLOW_FERNET_KEY"]) == 0
    new, kept = values(path)["AIRFLOW_FERNET_KEY"].split(",")
    assert kept == old != new
    assert main([str(path)]) == 0
    assert main([str(path), "--forget-old"]) == 0
    assert values(path)["AIRFLOW_FERNET_KEY"] == new


def test_what_a_file_does_not_hold_is_not_renewed(tmp_path, capsys):
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    assert main([str(path), "--renew", "API_KEY"]) == 1
    assert main([str(path), "--forget-old"]) == 1
    assert main([str(tmp_path / "none"), "--renew", "API_KEY"]) == 1
    assert path.read_text() == "A=1\n"
    assert "has no API_KEY" in capsys.readouterr().err
