"""The bills of materials: valid CycloneDX, the locked versions, what the image of the API installs, no dead ends."""

import json
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.supply import sbom
from deploy.supply.images import IMAGES, TARGET, NotInstalled, graph

from ..conftest import ROOT
from ..deploy.test_api_image import installed

PYTHON = ROOT / ".tools" / "bin" / "python"
needs_scanners = pytest.mark.skipif(not PYTHON.exists(), reason="NOT TESTED: no scanners here (make lint)")


def locked():
    """Package -> versions in constraints.txt; several, where they differ by the version of Python."""
    versions = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        requirement = Requirement(line)
        versions.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier)[2:])
    return versions


@pytest.mark.parametrize("image", IMAGES)
def test_a_bill_lists_the_locked_versions_and_leads_from_the_image_to_each_package(image):
    made = sbom.bill(image)
    components = {each["bom-ref"]: each for each in made["components"]}
    assert all(each["version"] in locked()[each["name"]] for each in components.values())
    edges = {each["ref"]: each["dependsOn"] for each in made["dependencies"]}
    reached, waiting = set(), [made["metadata"]["component"]["bom-ref"]]
    while waiting:
        reached.update(new := set(edges[waiting.pop()]) - reached)
        waiting.extend(new)
    assert reached == set(components)
    assert all(each["licenses"] for each in components.values())


def test_the_bill_of_the_api_has_what_its_image_installs():
    assert set(graph("api")) == installed()
    assert not {"apache-airflow", "implicit", "pandas"} & set(graph("api"))
    assert {"apache-airflow", "implicit", "psycopg2-binary", "asyncpg"} <= set(graph("airflow"))


def test_the_platform_is_that_of_the_images():
    for file in ("Dockerfile", "deploy/api/Dockerfile"):
        version = re.search(r"PYTHON_IMAGE=python:((\d+\.\d+)\.\d+)-slim", (ROOT / file).read_text())
        assert (version[1], version[2]) == (TARGET["python_full_version"], TARGET["python_version"])


def test_a_package_that_is_not_installed_is_named(tmp_path):
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "requirements.txt").write_text("no-such-package-here>=1  # why\n")
    with pytest.raises(NotInstalled, match="no-such-package-here"):
        graph("airflow", tmp_path)


@needs_scanners
def test_the_files_are_valid_and_the_same_each_time(tmp_path, capsys):
    texts = []
    for _ in range(2):
        assert sbom.main(["--to", str(tmp_path / "dist"), "--python", str(PYTHON)]) == 0
        texts.append([path.read_text() for path in sorted((tmp_path / "dist").iterdir())])
    assert texts[0] == texts[1]
    assert [json.loads(text)["specVersion"] for text in texts[0]] == ["1.6", "1.6"]
    assert "sbom-airflow.json" in capsys.readouterr().out


@needs_scanners
def test_a_document_that_is_not_cyclonedx_is_refused():
    made = sbom.bill("api")
    made["components"][0]["type"] = "thing"
    with pytest.raises(ValueError, match="thing"):
        sbom.validate(json.dumps(made), PYTHON)
