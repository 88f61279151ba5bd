"""What the images install: each file by its hash, in the versions of constraints.txt."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = {
    "deploy/installer.lock": "requirements-build.txt",
    "deploy/requirements.lock": "deploy/requirements.txt",
    "deploy/api/requirements.lock": "deploy/api/requirements.txt",
}
# Of the two images, which are Linux on two processors.
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_full_version": "3.12.13"}


def entries(lock):
    """Requirement -> its hashes."""
    found = {}
    for block in (ROOT / lock).read_text().replace("\\\n", " ").splitlines():
        requirement, *hashes = block.split(" --hash=")
        found[Requirement(requirement.strip())] = [each.strip() for each in hashes]
    return found


def pins(name):
    """Package -> its versions in a file of constraints."""
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier))
    return found


def asked(name):
    """The packages that a file of requirements names, also by way of another file."""
    found = set()
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= asked((Path(name).parent / line[3:]).as_posix())
        elif line and not line.startswith("#"):
            found.add(canonicalize_name(Requirement(line).name))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_file_is_known_by_its_sha256_and_by_no_address(lock):
    for requirement, hashes in entries(lock).items():
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), requirement
    assert "://" not in (ROOT / lock).read_text()


@pytest.mark.parametrize("lock", LOCKS)
def test_versions_are_those_that_the_tests_run_with(lock):
    tested = pins("constraints.txt")
    for requirement in entries(lock):
        name = canonicalize_name(requirement.name)
        if name == "setuptools" and name not in tested:
            continue
        assert str(requirement.specifier) in tested[name], f"{requirement}: run make locks"


@pytest.mark.parametrize(("lock", "requirements"), LOCKS.items())
def test_everything_asked_for_is_locked(lock, requirements):
    def here(marker):
        return marker is None or marker.evaluate(LINUX | {"platform_machine": "x86_64", "python_version": "3.12"})

    locked = {canonicalize_name(each.name) for each in entries(lock) if here(each.marker)}
    assert asked(requirements) <= locked, "run make locks"


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "deploy/api/Dockerfile"])
def test_the_images_install_nothing_without_its_hash(dockerfile):
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install (.*?)(?:&&|$)", text, re.MULTILINE)
    assert len(installs) == 2
    assert all("--require-hashes" in each and "--only-binary :all:" in each for each in installs)
    copied = re.search(r"^COPY (.*) \./$", text, re.MULTILINE)[1].split()
    assert set(copied) <= set(LOCKS)


def test_make_writes_every_lock():
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^locks:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1]
    assert dict(re.findall(r"-o (\S+) (\S+)$", recipe, re.MULTILINE)) == LOCKS
    assert re.search(r"^LOCK := .*(?:\n .*)*--generate-hashes", makefile, re.MULTILINE)
