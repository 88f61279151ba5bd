"""docker-compose.yaml, the Dockerfile, the Makefile and the code say of the stack what deploy/stack.py says."""

import json
import re
from pathlib import Path, PurePosixPath

from deploy import stack
from deploy.make_env import SECRETS, SIGNING_BYTES
from local.airflow_env import airflow_environment, serving_environment
from local.home import Home

from .test_compose import API, ROOT, SERVICES, VARIABLE, environment, settings_of_the_api, settings_that_are_read

INSIDE = PurePosixPath("/opt/airflow")
STORE = stack.Store("http://object-store:7070", "OBJECT_STORE_ACCESS_KEY", "OBJECT_STORE_SECRET_KEY")
# As compose fills them in: each secret by its own name.
CONTAINERS = stack.Airflow(
    home=INSIDE,
    project=PurePosixPath("/opt/recommender"),
    database="postgresql+psycopg2://airflow:POSTGRES_PASSWORD@postgres/airflow",
    keys=stack.Keys("AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY"),
    store=STORE,
    root=f"s3://{stack.BUCKET}",
    cache=PurePosixPath("/var/cache/recommender"),
)
SERVER = stack.Server(
    ui=f"http://localhost:{stack.UI_PORT}",
    api=f"http://api-server:{stack.UI_PORT}",
    parallelism=8,
)


def of_the_image():
    """What the Dockerfile sets for every process."""
    text = (ROOT / "Dockerfile").read_text()
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", text, re.MULTILINE)[1]
    return dict(word.split("=", 1) for word in block.replace("\\\n", " ").split())


def plain(variables):
    """Variables with JSON in one way of writing it."""
    return {name: json.loads(value) if value.startswith("{") else value for name, value in variables.items()}


def test_every_container_of_airflow_has_the_environment_of_the_description():
    written = of_the_image() | environment("scheduler")
    described = CONTAINERS.environment() | SERVER.environment() | STORE.boto3()
    assert plain(written) | plain(described) == plain(written)
    other = written.keys() - described.keys() - {*stack.AIRFLOW_SETTINGS}
    assert other == {"PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "AIRFLOW__CORE__AUTH_MANAGER"}
    assert all(written[name] == "" for name in {*stack.AIRFLOW_SETTINGS} - described.keys())


def test_a_laptop_differs_from_the_containers_in_values_and_in_what_a_container_says_otherwise(tmp_path):
    home = Home(tmp_path)
    laptop = airflow_environment(home, STORE, "s3://b/r", "x") | serving_environment(home, 9)
    described = CONTAINERS.environment() | SERVER.environment()
    assert laptop.keys() >= described.keys()
    assert {name for name in laptop.keys() - described.keys() if not name.startswith("AIRFLOW__")} == {
        *("RECOMMENDER_SNAPSHOTS", "RECOMMENDER_AWS_CONN_ID", "SCARF_ANALYTICS")
    }


def test_the_services_are_its_parts_and_each_probe_asks_for_its_component():
    assert set(SERVICES) == {"postgres", "object-store", "init", *stack.PARTS, *API}
    probes = {name: SERVICES[name]["healthcheck"]["test"] for name in stack.PARTS}
    assert all(test[:4] == ["CMD", "python", "-m", "deploy.health"] for test in probes.values())
    assert {test[4] for test in probes.values()} == {*stack.COMPONENTS}
    assert {name: test[4] for name, test in probes.items() if name != "api-server"} == {
        name: name.replace("-", "_") for name in stack.PARTS if name != "api-server"
    }


def test_ports_pool_user_and_region_are_those_of_the_description():
    assert SERVICES["api-server"]["command"][-1] == str(stack.UI_PORT)
    assert SERVICES["api-server"]["ports"] == [f"127.0.0.1:${{AIRFLOW_PORT:-{stack.UI_PORT}}}:{stack.UI_PORT}"]
    assert SERVICES["api"]["command"][-2:] == ["--port", str(stack.API_PORT)]
    assert SERVICES["api"]["ports"] == [f"127.0.0.1:${{API_PORT:-{stack.API_PORT}}}:{stack.API_PORT}"]
    script = SERVICES["init"]["command"][-1]
    pools = re.search(r'airflow pools set "\$\$RECOMMENDER_TRAINING_POOL" (\d+) "(.*)"', script)
    assert (int(pools[1]), pools[2]) == (stack.POOL_SLOTS, stack.POOL_ABOUT)
    assert environment("object-store")["VGW_REGION"] == stack.REGION
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^PORT \?= (\d+)#.*default (\d+)$", makefile, re.MULTILINE).groups() == (str(stack.UI_PORT),) * 2
    online = re.search(r"^API_PORT \?= (\d+)#.*default (\d+)$", makefile, re.MULTILINE).groups()
    assert online == (str(stack.API_PORT),) * 2
    laptop = re.search(r"^S3_PORT \?= (\d+)#.*default (\d+)$", makefile, re.MULTILINE).groups()
    assert laptop == (str(stack.LAPTOP_STORE_PORT),) * 2
    assert f"Airflow: user {stack.USER}," in makefile


def test_the_settings_are_those_that_the_code_reads_and_the_file_passes_on():
    assert {*stack.AIRFLOW_SETTINGS} == settings_that_are_read()
    assert {*stack.API_SETTINGS} == settings_of_the_api()
    passed = {name for name, _, _ in VARIABLE.findall((ROOT / "docker-compose.yaml").read_text())}
    assert {name for name in passed if name.startswith("RECOMMENDER_")} == {*stack.SETTINGS} - stack.OF_CONTAINERS
    assert {*stack.SETTINGS} == {*stack.AIRFLOW_SETTINGS, *stack.API_SETTINGS, stack.SAMPLES}


def test_generated_secrets_have_the_sizes_of_the_description():
    assert SIGNING_BYTES is stack.SIGNING_BYTES
    for name in ("AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY"):
        assert len(SECRETS[name]()) >= stack.SIGNING_BYTES


def test_the_description_needs_no_package():
    imported = re.findall(r"^(?:from|import) (\S+)", Path(stack.__file__).read_text(), re.MULTILINE)
    assert set(imported) == {"__future__", "json", "dataclasses", "pathlib"}
