"""What docker-compose.yaml and the Dockerfile promise: private ports, no default secret, probes, pinned images."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.make_env import SECRETS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
AIRFLOW = {"init", "api-server", "scheduler", "dag-processor", "triggerer"}
ONE_SHOT = {"init"}
VARIABLE = re.compile(r"\$\{(\w+)(:\?|:-)?([^}]*)\}")
PORT_VARIABLES = {"AIRFLOW_PORT", "OBJECT_STORE_PORT"}


def environment(name):
    """The environment of a service, with every secret filled in by its own name."""
    filled = {key: VARIABLE.sub(r"\1", str(value)) for key, value in SERVICES[name]["environment"].items()}
    return {key: value.strip() for key, value in filled.items()}


def check(directory):
    """Run the check of `make lint` with this environment's tools."""
    script = directory / "deploy" / "check_compose.sh"
    tools = str(Path(sys.executable).parent)
    return subprocess.run(["bash", str(script), tools], capture_output=True, text=True, check=False)


def test_the_lint_step_accepts_the_file():
    done = check(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lint_step_refuses_what_compose_does_not_know(tmp_path):
    (tmp_path / "deploy").mkdir()
    for name in ("check_compose.sh", "make_env.py"):
        shutil.copy(ROOT / "deploy" / name, tmp_path / "deploy" / name)
    (tmp_path / "docker-compose.yaml").write_text(TEXT.replace("healthcheck:", "healthchek:", 1))
    done = check(tmp_path)
    assert done.returncode != 0
    assert "healthchek" in done.stdout + done.stderr


def test_holds_the_whole_stack():
    assert set(SERVICES) == AIRFLOW | {"postgres", "object-store"}


def test_ports_are_bound_to_loopback():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_secret_is_required_and_none_has_a_default():
    used = VARIABLE.findall(TEXT)
    assert {name for name, how, _ in used if how == ":?"} == set(SECRETS)
    assert {name for name, how, _ in used if how != ":?"} == PORT_VARIABLES
    assert all(hint == "run python3 deploy/make_env.py" for _, how, hint in used if how == ":?")


def test_no_secret_is_written_into_the_file():
    named = re.compile(r"PASSWORD$|SECRET|_KEY(_ID)?$|SQL_ALCHEMY_CONN$")
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert not named.search(key) or VARIABLE.search(value), key


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_every_lasting_service_has_a_probe_and_restarts(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_one_shot_is_waited_for():
    assert SERVICES["init"]["restart"] == "no"
    for name in AIRFLOW - ONE_SHOT:
        assert SERVICES[name]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}
    healthy = {"condition": "service_healthy"}
    assert SERVICES["init"]["depends_on"] == {"postgres": healthy, "object-store": healthy}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned_to_a_full_version(name):
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)*$", SERVICES[name]["image"])


def test_the_base_image_is_pinned_to_a_full_version():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.12\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


def test_airflow_runs_as_an_ordinary_user_without_capabilities():
    users = re.findall(r"^USER (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["50000:0"]
    for name in AIRFLOW:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert "user" not in SERVICES[name]


def test_code_is_in_the_image_and_only_named_volumes_are_mounted():
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts} == set(COMPOSE["volumes"])


def test_airflow_services_share_one_configuration():
    shared = environment("scheduler")
    assert all(environment(name) == shared for name in AIRFLOW - ONE_SHOT)
    assert environment("init") == shared | {"AIRFLOW_ADMIN_PASSWORD": "AIRFLOW_ADMIN_PASSWORD"}
    assert shared["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert shared["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
    assert shared["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")


def test_the_object_store_and_the_connection_agree():
    connection = json.loads(environment("scheduler")["AIRFLOW_CONN_AWS_DEFAULT"])
    store = environment("object-store")
    assert (connection["login"], connection["password"]) == (
        store["ROOT_ACCESS_KEY_ID"],
        store["ROOT_SECRET_ACCESS_KEY"],
    )
    assert connection["extra"]["endpoint_url"] == f"http://object-store{store['VGW_PORT']}"
    assert connection["extra"]["region_name"] == store["VGW_REGION"]
    assert SERVICES["object-store"]["healthcheck"]["test"][-1].endswith(f"{store['VGW_PORT']}{store['VGW_HEALTH']}")


def test_the_training_pool_is_made_with_one_slot_and_used():
    script = SERVICES["init"]["command"][-1]
    assert script.startswith("airflow db migrate\n")
    assert re.search(r"^airflow pools set recommender_training 1 ", script, re.MULTILINE)
    assert environment("scheduler")["RECOMMENDER_TRAINING_POOL"] == "recommender_training"


def test_the_image_gets_only_what_it_is_made_of():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert all((ROOT / source).exists() for source in sources)
    assert {source.split("/")[0] for source in sources} == allowed


def test_compose_resolves_the_file_where_a_client_is_installed(tmp_path):
    client = ["docker", "compose", "--file", str(ROOT / "docker-compose.yaml"), "--env-file", str(tmp_path / ".env")]
    try:
        subprocess.run([*client[:2], "version"], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no docker compose on this machine")
    clean = {key: value for key, value in os.environ.items() if key not in SECRETS}
    (tmp_path / ".env").touch()
    refused = subprocess.run([*client, "config", "--quiet"], capture_output=True, text=True, env=clean, check=False)
    assert refused.returncode != 0
    assert "run python3 deploy/make_env.py" in refused.stderr
    (tmp_path / ".env").write_text("".join(f"{name}=x\n" for name in SECRETS))
    subprocess.run([*client, "config", "--quiet"], check=True, env=clean)
