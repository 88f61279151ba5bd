"""What docker-compose.yaml and the Dockerfile promise: private ports, no default secret, probes, pinned images."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.make_env import SECRETS
from deploy.stack import OF_CONTAINERS, SAMPLES
from include.recommender.api.settings import PREFIX, Settings
from include.recommender.parameters import parameters_of
from include.recommender.parameters.of_api import ApiConfig

ROOT = Path(__file__).parents[2]
AWS = "deploy/compose/aws.yaml"
TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
AIRFLOW = {"init", "api-server", "scheduler", "dag-processor", "triggerer"}
API = {"api-keys", "api"}
ONE_SHOT = {"init", "api-keys"}
COPIED = re.compile(r"^COPY (?!--from)(.*) \S+$", re.MULTILINE)
VARIABLE = re.compile(r"\$\{(\w+)(:\?|:-)?([^}]*)\}")
OWN_VARIABLES = {"AIRFLOW_PORT", "API_PORT", "OBJECT_STORE_PORT", "SCHEDULER_MEMORY", "API_MEMORY"}
OWN_VARIABLES |= {"IMAGE_REVISION", SAMPLES}


def settings_that_are_read():
    """Names of the settings that the code of Airflow's side reads from its environment."""
    texts = [path.read_text() for folder in ("dags", "include", "plugins") for path in (ROOT / folder).rglob("*.py")]
    # What `make registry` says of itself, and what those of the API begin with.
    internal = {"RECOMMENDER_REGISTRY_TYPED_AS", "RECOMMENDER_LOCAL_OWNER", PREFIX}
    return set(re.findall(r"""["'](RECOMMENDER_[A-Z_]+)["']""", "\n".join(texts))) - internal - settings_of_the_api()


def settings_of_the_api():
    """Names of the settings that the online API reads from its environment."""
    return {f"{PREFIX}{each.name.upper()}" for each in parameters_of(ApiConfig)}


def environment(name):
    """The environment of a service, with every secret filled in by its own name."""
    filled = {
        key: VARIABLE.sub(lambda found: found[1] if found[2] == ":?" else found[3], str(value))
        for key, value in SERVICES[name]["environment"].items()
    }
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
    for name in ("__init__.py", "check_compose.sh", "make_env.py", "stack.py"):
        shutil.copy(ROOT / "deploy" / name, tmp_path / "deploy" / name)
    (tmp_path / "docker-compose.yaml").write_text(TEXT.replace("healthcheck:", "healthchek:", 1))
    done = check(tmp_path)
    assert done.returncode != 0
    assert "healthchek" in done.stdout + done.stderr


def test_holds_the_whole_stack():
    assert set(SERVICES) == AIRFLOW | API | {"postgres", "object-store"}


def test_ports_are_bound_to_loopback():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_secret_is_required_and_none_has_a_default():
    used = VARIABLE.findall(TEXT)
    assert {name for name, how, _ in used if how == ":?"} == set(SECRETS)
    settings = settings_that_are_read() | settings_of_the_api()
    assert {name for name, how, _ in used if how != ":?"} == OWN_VARIABLES | settings - OF_CONTAINERS
    assert all(hint == "run python3 -m deploy.make_env" for _, how, hint in used if how == ":?")


def test_no_secret_is_written_into_the_file():
    named = re.compile(r"PASSWORD$|SECRET|_KEY(_ID)?$|SQL_ALCHEMY_CONN$")
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert not named.search(key) or VARIABLE.search(value), key


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_every_lasting_service_has_a_probe_and_restarts(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_one_shots_are_waited_for():
    assert {SERVICES[name]["restart"] for name in ONE_SHOT} == {"no"}
    for name in AIRFLOW - ONE_SHOT:
        assert SERVICES[name]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}
    healthy = {"condition": "service_healthy"}
    assert SERVICES["init"]["depends_on"] == {"postgres": healthy, "object-store": healthy}
    done = {"condition": "service_completed_successfully"}
    assert SERVICES["api"]["depends_on"] == {"object-store": healthy, "api-keys": done}
    assert "depends_on" not in SERVICES["api-keys"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned_to_a_full_version(name):
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)*$", SERVICES[name]["image"])


def test_the_base_image_is_pinned_to_a_full_version():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.12\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


def test_airflow_runs_as_an_ordinary_user():
    users = re.findall(r"^USER (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["50000:0"]
    assert not any("user" in SERVICES[name] for name in AIRFLOW)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_confined_and_bounded(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "20m", "max-file": "5"}}


def test_only_the_database_has_capabilities_to_become_its_own_user():
    given = {name: service["cap_add"] for name, service in SERVICES.items() if "cap_add" in service}
    assert given == {"postgres": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]}


def test_one_service_builds_the_image_that_all_of_airflow_runs():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    labels = {"VERSION": version, "REVISION": "${IMAGE_REVISION:-unknown}"}
    assert {name: service["build"] for name, service in SERVICES.items() if "build" in service} == {
        "init": {"context": ".", "args": labels},
        "api-keys": {"context": ".", "dockerfile": "deploy/api/Dockerfile", "args": labels},
    }
    assert {SERVICES[name]["image"] for name in AIRFLOW} == {f"recommender-airflow:{version}"}
    assert {SERVICES[name]["image"] for name in API} == {f"recommender-api:{version}"}
    assert all(SERVICES[name]["pull_policy"] == "never" for name in (AIRFLOW | API) - ONE_SHOT)


def test_every_setting_that_the_code_reads_reaches_every_container():
    assert settings_that_are_read() <= set(environment("scheduler"))
    open_to_all = f"{PREFIX}OPEN"  # never in a container: the file of keys is always there
    assert settings_of_the_api() - {open_to_all} | {"RECOMMENDER_ROOT", "RECOMMENDER_CACHE"} == {
        name for name in environment("api") if name.startswith("RECOMMENDER_")
    }
    passed = {name for name, _, _ in VARIABLE.findall(TEXT)}
    assert (settings_that_are_read() | settings_of_the_api()) - OF_CONTAINERS <= passed


def test_the_api_reads_what_compose_gives_it_and_nothing_of_airflow():
    given = environment("api")
    settings = Settings.from_environment(given)
    assert settings.root == environment("scheduler")["RECOMMENDER_ROOT"]
    assert settings.config == ApiConfig(keys_file="/etc/recommender/keys.json")
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["api"]["volumes"])
    assert mounts == {"api-cache": given["RECOMMENDER_CACHE"], "api-keys": "/etc/recommender"}
    assert not any(name.startswith(("AIRFLOW", "POSTGRES")) for name in given)
    assert set(environment("api-keys")) == {"API_KEY"}


def test_the_server_of_the_api_reads_the_file_that_the_one_shot_writes():
    assert SERVICES["api-keys"]["volumes"] == ["api-keys:/etc/recommender"]
    assert SERVICES["api-keys"]["command"] == ["python", "-m", "deploy.api_key", "/etc/recommender/keys.json"]
    assert "API_KEY" not in environment("api")


def test_a_stack_without_a_version_is_in_order():
    assert SERVICES["api"]["healthcheck"]["test"] == ["CMD", "python", "-m", "deploy.api_health", "/healthz"]


def test_the_registrys_command_and_the_api_find_the_store():
    """As boto3 reads it, with the keys and the address of the Airflow connection."""
    connection = json.loads(environment("scheduler")["AIRFLOW_CONN_AWS_DEFAULT"])
    for name in (*AIRFLOW, "api"):
        given = environment(name)
        assert (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]) == (
            connection["login"],
            connection["password"],
        )
        assert given["AWS_ENDPOINT_URL_S3"] == connection["extra"]["endpoint_url"]
        assert given["AWS_DEFAULT_REGION"] == connection["extra"]["region_name"]
        assert given["RECOMMENDER_ROOT"] == "s3://recommender"


def test_the_object_store_decides_conditional_writes_one_at_a_time():
    version = re.fullmatch(r"versity/versitygw:v(\d+)\.(\d+)\.\d+", SERVICES["object-store"]["image"])
    assert (int(version[1]), int(version[2])) >= (1, 8)
    assert environment("object-store")["VGW_OBJECT_LOCK_MODE"] == "flock"


def test_code_is_in_the_image_and_only_named_volumes_are_mounted():
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts} == set(COMPOSE["volumes"])


def test_airflow_services_share_one_configuration():
    shared = environment("scheduler")
    assert all(environment(name) == shared for name in AIRFLOW - ONE_SHOT)
    assert environment("init") == shared | {"AIRFLOW_ADMIN_PASSWORD": "AIRFLOW_ADMIN_PASSWORD", SAMPLES: ""}
    assert shared["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
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
    assert re.search(r'^ *airflow pools set "\$\$RECOMMENDER_TRAINING_POOL" 1 ', script, re.MULTILINE)
    assert environment("scheduler")["RECOMMENDER_TRAINING_POOL"] == "recommender_training"


def test_the_images_get_only_what_they_are_made_of():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    texts = [(ROOT / name).read_text() for name in ("Dockerfile", "deploy/api/Dockerfile")]
    sources = [source for text in texts for line in COPIED.findall(text) for source in line.split()]
    assert all((ROOT / source).exists() for source in sources)
    assert {source.split("/")[0] for source in sources} == allowed
    refused = [rule for rule in rules[1:] if not rule.startswith("!")]
    assert not any(source.startswith(rule) for source in sources for rule in refused)
    assert "**/.*" in refused


def client(*files):
    """The command `docker compose` for these files. Skips where it is not installed."""
    try:
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("NOT CHECKED: no docker compose on this machine")
    return ["docker", "compose", *(word for file in files for word in ("--file", str(ROOT / file)))]


def clean():
    """This environment without what the file reads."""
    read = {*SECRETS, "AWS_DEFAULT_REGION", "AWS_LOG_GROUP", "COMPOSE_FILE"}
    return {
        name: value for name, value in os.environ.items() if name not in read and not name.startswith("RECOMMENDER_")
    }


def config(command, text, folder, **options):
    """What compose makes of the files with an `.env` of this text."""
    (folder / ".env").write_text(text)
    words = [*command, "--env-file", str(folder / ".env"), "config", "--format", "json"]
    return subprocess.run(words, capture_output=True, text=True, env=clean(), **options)


def test_compose_resolves_the_file_where_a_client_is_installed(tmp_path):
    command = client("docker-compose.yaml")
    refused = config(command, "", tmp_path, check=False)
    assert refused.returncode != 0
    assert "run python3 -m deploy.make_env" in refused.stderr
    notifiers = '[{"class": "a.b.C", "kwargs": {"text": "{{ alert.subject }}"}}]'
    settings = f"RECOMMENDER_SCHEDULE=@monthly\nRECOMMENDER_NOTIFIERS='{notifiers}'\n"
    done = config(command, "".join(f"{name}=x\n" for name in SECRETS) + settings, tmp_path, check=True)
    for name in AIRFLOW:
        given = json.loads(done.stdout)["services"][name]["environment"]
        assert (given["RECOMMENDER_SCHEDULE"], given["RECOMMENDER_NOTIFIERS"]) == ("@monthly", notifiers)


SECRET_LINES = "".join(f"{name}=x\n" for name in SECRETS)
ON_AWS = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_LOG_GROUP": "/shop", "RECOMMENDER_ROOT": "s3://bucket/shop"}


def on_aws(folder, **settings):
    lines = "".join(f"{name}={value}\n" for name, value in settings.items())
    done = config(client("docker-compose.yaml", AWS), SECRET_LINES + lines, folder, check=False)
    return done.stderr if done.returncode else json.loads(done.stdout)


def test_a_machine_in_aws_uses_its_role_and_a_bucket_of_s3(tmp_path):
    found = on_aws(tmp_path, **ON_AWS)
    assert set(found["services"]) == set(SERVICES) - {"object-store"}
    assert set(found["volumes"]) == set(COMPOSE["volumes"]) - {"objects"}
    for name in AIRFLOW | {"api"}:
        given = found["services"][name]["environment"]
        assert {key: given[key] for key in given if key.startswith("AWS_")} == {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "false",
        }
        assert given["RECOMMENDER_ROOT"] == "s3://bucket/shop"
        assert "x" not in {value for key, value in given.items() if key.startswith(("AWS", "OBJECT"))}
    connection = json.loads(found["services"]["scheduler"]["environment"]["AIRFLOW_CONN_AWS_DEFAULT"])
    assert connection == {"conn_type": "aws", "extra": {"region_name": "eu-west-1"}}
    assert found["services"]["init"]["environment"][SAMPLES] == "0"
    assert set(found["services"]["init"]["depends_on"]) == {"postgres"}
    assert set(found["services"]["api"]["depends_on"]) == {"api-keys"}


def test_a_machine_in_aws_differs_in_nothing_else(tmp_path):
    lines = SECRET_LINES + "".join(f"{name}={value}\n" for name, value in ON_AWS.items())
    plain = json.loads(config(client("docker-compose.yaml"), lines, tmp_path, check=True).stdout)["services"]
    for name, service in on_aws(tmp_path, **ON_AWS)["services"].items():
        assert service["logging"]["driver"] == "awslogs"
        assert service["logging"]["options"]["awslogs-group"] == "/shop"
        changed = {key for key in service.keys() | plain[name].keys() if service.get(key) != plain[name].get(key)}
        assert changed <= {"logging", "environment", "depends_on"}


@pytest.mark.parametrize("name", ON_AWS)
def test_a_machine_in_aws_needs_its_settings(name, tmp_path):
    refused = on_aws(tmp_path, **{key: value for key, value in ON_AWS.items() if key != name})
    assert name in refused
