"""The image of the online API is small, confined and complete: a server runs from its files and packages."""

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy import stack

from ..candidates import JULY, Candidate
from ..conftest import BUCKET, ROOT
from ..ports import free_port

FILE = ROOT / "deploy" / "api" / "Dockerfile"
TEXT = FILE.read_text()
STAGES = re.split(r"^(?=FROM )", TEXT, flags=re.MULTILINE)[1:]
REQUIREMENTS = ROOT / "deploy" / "api" / "requirements.txt"
KEY = "0123456789abcdef" * 4
HEAVY = {"airflow", "duckdb", "implicit", "jinja2", "matplotlib", "numba", "optuna", "pandas", "pyspark", "sqlalchemy"}
# Imported by name, by uvicorn; or inside of functions that only training calls.
BY_UVICORN, FOR_TYPES = {"httptools", "uvloop"}, {"mypy_boto3_s3"}

# Runs a module in a process that does not see some packages, as if they were not installed.
ALONE = """
import json, runpy, sys

hidden = set(json.loads(sys.argv[1]))

class Hidden:
    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {fullname!r} in the image", name=fullname)

sys.meta_path.insert(0, Hidden())
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def required():
    """The names in the requirements of the image."""
    found = re.findall(r"^([a-z0-9-]+)", REQUIREMENTS.read_text(), re.MULTILINE)
    return {canonicalize_name(name) for name in found}


def installed():
    """These, and what they need."""
    found, new = set(), required()
    while new:
        found |= new
        needed = [Requirement(text) for name in new for text in requires(name) or []]
        here = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
        new = {canonicalize_name(each.name) for each in here} - found
    return found


@cache
def hidden():
    """Top-level modules of this environment that the image does not hold."""
    held = installed()
    owners = packages_distributions().items()
    return sorted(top for top, names in owners if not {canonicalize_name(name) for name in names} & held)


def copied():
    """Source -> destination of what the final stage copies from the project."""
    pairs = {}
    for line in re.findall(r"^COPY (?!--from)(.*)$", STAGES[-1], re.MULTILINE):
        *sources, to = line.split()
        pairs |= {source: f"{to}{Path(source).name}" if to.endswith("/") else to for source in sources}
    return pairs


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A folder with the files of the image."""
    folder = tmp_path_factory.mktemp("image")
    for source, destination in copied().items():
        target = folder / destination
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / source, target)
    return folder


def start(image, module, *arguments, **environment):
    """A process of the image."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    command = [sys.executable, "-c", ALONE, json.dumps(hidden()), module, *arguments]
    variables = kept | {"PYTHONPATH": str(image)} | environment
    return subprocess.Popen(
        command, cwd=image, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run(image, module, *arguments, **environment):
    """The exit status and the output of a process of the image."""
    process = start(image, module, *arguments, **environment)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def ask(port, path, key=None):
    """The status and the answer."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}


@pytest.mark.slow
def test_a_server_runs_from_the_files_and_the_packages_of_the_image(image, workspace, s3_endpoint, tmp_path):
    keys, cache = tmp_path / "keys.json", tmp_path / "cache"
    assert run(image, "deploy.api_key", str(keys), API_KEY=KEY) == (0, f"{keys}: compose has the key API_KEY of .env\n")
    port = free_port()
    environment = stack.Store(s3_endpoint, "test", "test").boto3() | {
        "RECOMMENDER_ROOT": f"s3://{BUCKET}/shop",
        "RECOMMENDER_CACHE": str(cache),
        "RECOMMENDER_API_KEYS_FILE": str(keys),
        "RECOMMENDER_API_POLL_S": "0.2",
    }
    server = start(image, "include.recommender.api", "--port", str(port), **environment)
    try:
        wait(lambda: ask(port, "/healthz")[0] == 200)
        probe = ["deploy.api_health", "--port", str(port)]
        assert run(image, *probe, "/healthz") == (0, '200 {"status":"ok"}\n')
        status, answer = run(image, *probe, "/readyz")
        assert (status, answer[:3]) == (1, "503")
        made = Candidate(workspace, JULY)
        made.promote()
        wait(lambda: ask(port, "/readyz")[0] == 200)
        assert run(image, *probe, "/readyz")[0] == 0
        status, answer = ask(port, "/v1/trending?k=3", KEY)
        assert (status, answer["model_id"], len(answer["items"])) == (200, made.model_id, 3)
        assert ask(port, "/v1/trending?k=3", KEY[:-1])[0] == 401
    finally:
        server.terminate()
        out, _ = server.communicate(timeout=30)
    assert server.returncode in (0, -15), out
    assert "Traceback" not in out


def wait(done, most_s=60):
    end = time.monotonic() + most_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_probe_says_that_nobody_answers(image):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
        status, out = run(image, "deploy.api_health", "--port", port, "/healthz")
    assert status == 1
    assert out.startswith(f"no answer at port {port}: ")


def test_the_requirements_are_what_a_serving_process_imports():
    code = """
import json, sys
import include.recommender.api.__main__, include.recommender.api.app, deploy.api_key, deploy.api_health
print(json.dumps({name: getattr(module, "__file__", None) for name, module in sys.modules.items()}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    files = [Path(file) for name, file in loaded.items() if name.split(".")[0] in {"include", "deploy"} and file]
    tops = {top for file in files for top in imported(file)} - {*sys.stdlib_module_names, "include", "deploy"}
    owners = packages_distributions()
    used = {canonicalize_name(owners[top][0]) for top in tops - FOR_TYPES}
    assert used | BY_UVICORN == required()
    assert tops >= FOR_TYPES


def imported(file):
    """Top-level names of everything that a file imports, also within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def test_requirements_are_pinned_and_those_of_the_project_with_the_same_bounds():
    pins = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert installed() - pins <= {"setuptools"}
    lines = {line for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")}
    assert lines <= set((ROOT / "requirements.txt").read_text().splitlines())


def test_the_image_is_built_in_stages_from_wheels_on_the_base_of_the_other_image():
    assert re.findall(r"^FROM (.*)$", TEXT, re.MULTILINE) == ["${PYTHON_IMAGE} AS dependencies", "${PYTHON_IMAGE}"]
    base = re.compile(r"^ARG PYTHON_IMAGE=(\S+)$", re.MULTILINE)
    assert base.findall(TEXT) == base.findall((ROOT / "Dockerfile").read_text())
    assert re.search(r"uv pip install .*--require-hashes --only-binary :all: -r requirements.lock", TEXT)
    assert re.search(r"^COPY .*deploy/api/requirements.lock \./$", TEXT, re.MULTILINE)
    assert "apt-get" not in TEXT


def test_the_image_can_be_built_by_docker_without_buildkit():
    assert not re.search(r"^# *syntax|<<|--link|--mount|--chown|--chmod", TEXT, re.MULTILINE)


def test_the_server_is_an_ordinary_user_who_can_change_no_code():
    assert re.findall(r"^USER (\S+)", TEXT, re.MULTILINE) == ["50000:0"]
    assert not any(destination.startswith("/") for destination in copied().values())
    owned = re.search(r"install --directory --owner 50000 --group 0 --mode 0750 (.*)$", TEXT, re.MULTILINE)[1]
    assert owned.split() == ["/var/cache/recommender", "/etc/recommender"]


def test_port_and_probe():
    assert re.search(r"^EXPOSE (\d+)$", TEXT, re.MULTILINE)[1] == str(stack.API_PORT)
    probe = re.search(r"^HEALTHCHECK (?:.|\\\n)*?CMD (\[.*\])$", TEXT, re.MULTILINE)[1]
    assert json.loads(probe) == ["python", "-m", "deploy.api_health", "/readyz"]


def test_what_is_copied_is_there_and_is_part_of_the_build_context():
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    sources = [source for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.M) for source in line.split()]
    assert all((ROOT / source).exists() for source in sources)
    assert {source.split("/")[0] for source in sources} <= allowed


def test_lint_compares_the_requirements_with_the_code():
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert "--requirements-files deploy/api/requirements.txt" in lint


def test_the_project_has_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"image: recommender-api:{version}\n" in (ROOT / "docker-compose.yaml").read_text()
