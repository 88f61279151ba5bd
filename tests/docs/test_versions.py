"""Versions that are written in several places agree: Airflow, Python, the images, the project."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
PINS = dict(
    re.findall(r"^([a-z0-9-]+)==([^ ;\n]+)(?: ;.*)?$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
)
AIRFLOW = PINS["apache-airflow"]
BASES = re.findall(r"^ARG \w+_IMAGE=(\S+)", DOCKERFILE, re.M)
IMAGES = {service["image"] for service in SERVICES.values()} | set(BASES)


def python_range():
    """The oldest and the newest minor version of Python, such as (11, 13)."""
    oldest, after = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["project"]["requires-python"]).groups()
    return int(oldest), int(after) - 1


def everywhere(pattern, *paths):
    """What a pattern captures in each file: (file, capture)."""
    return [(path.name, found) for path in paths for found in re.findall(pattern, path.read_text())]


def test_airflow():
    minor = AIRFLOW.rpartition(".")[0]
    assert f"\napache-airflow~={AIRFLOW}\n" in (ROOT / "requirements.txt").read_text()
    assert PINS["apache-airflow-core"] == AIRFLOW
    named = everywhere(r"Airflow (\d+\.\d+(?:\.\d+)?)", *PAGES)
    assert ("README.md", minor) in named
    assert [(page, found) for page, found in named if found not in {minor, AIRFLOW}] == []
    patches = everywhere(rf"\b({re.escape(minor)}\.\d+)\b", *PAGES)
    assert [(page, found) for page, found in patches if found != AIRFLOW] == []


def test_python():
    oldest, newest = python_range()
    ranges = everywhere(r"Python 3\.(\d+) to 3\.(\d+)", *PAGES, ROOT / "Makefile")
    assert {page for page, _ in ranges} >= {"README.md", "Makefile"}
    assert {(int(a), int(b)) for _, (a, b) in ranges} == {(oldest, newest)}
    make = (ROOT / "Makefile").read_text()
    assert f"(3, {oldest}) <= v <= (3, {newest})" in make
    assert f"--python-version 3.{oldest} " in make
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{oldest}"
    image = re.search(r"^ARG PYTHON_IMAGE=python:3\.(\d+)\.\d+-", DOCKERFILE, re.M)
    assert oldest <= int(image[1]) <= newest


def test_the_image_of_airflow_bears_the_version_of_the_project():
    assert f"recommender-airflow:{PROJECT['project']['version']}" in IMAGES


@pytest.mark.parametrize("image", sorted(IMAGES))
def test_images(image):
    """Each is named in the docs, and nowhere with another version."""
    name = image.partition(":")[0]
    named = everywhere(rf"\b{re.escape(name)}:([\w.-]*\d[\w.-]*\w)", *PAGES)
    assert {found for _, found in named} == {image.partition(":")[2]}


def test_every_requirement_is_pinned_within_its_bounds():
    for file in ("requirements.txt", "requirements-local.txt", "requirements-build.txt", "deploy/requirements.txt"):
        for name, least in re.findall(r"^([a-z0-9-]+)(?:\[.*\])?(?:[>~]=([\d.]+))?$", (ROOT / file).read_text(), re.M):
            assert name in PINS, f"{file}: {name}; run make constraints"
            assert _numbers(PINS[name]) >= _numbers(least), f"{file}: {name}"


def _numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)]
