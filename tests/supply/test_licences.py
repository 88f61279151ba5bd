"""Licences of the images' packages: what is allowed, what is not, and that no exception outlives its package."""

from email.message import Message

import pytest

from deploy.supply import licences
from deploy.supply.images import IMAGES, graph

RULES = licences.Rules.read()


def about(classifiers=(), **fields):
    """Metadata of a package."""
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    for each in classifiers:
        message["Classifier"] = each
    return message


@pytest.mark.parametrize(
    ("metadata", "expected", "allowed"),
    [
        (about(License_Expression="MIT"), "MIT", True),
        (about(License_Expression="Apache-2.0 AND MIT"), "Apache-2.0 AND MIT", True),
        (about(License_Expression="Apache-2.0 AND GPL-3.0-only"), "Apache-2.0 AND GPL-3.0-only", False),
        (about(License_Expression="MIT OR GPL-3.0-only"), "MIT OR GPL-3.0-only", True),
        (about(License_Expression="(MIT OR GPL-3.0-only) AND MIT"), "(MIT OR GPL-3.0-only) AND MIT", False),
        (about(License="Apache License 2.0"), "Apache-2.0", True),
        (about(License="GNU AGPLv3"), "GNU AGPLv3", False),
        (about(License="x" * 5000), "unknown", False),
        (about(), "unknown", False),
        (about(["License :: OSI Approved :: MIT License"], License="UNKNOWN"), "MIT", True),
        (about(["License :: OSI Approved :: MIT License", "License :: Other/Proprietary License"]), None, False),
    ],
)
def test_the_licence_of_a_package(metadata, expected, allowed):
    found = licences.licence(metadata, RULES)
    assert found == expected or expected is None
    assert RULES.allows(found) is allowed


def test_every_package_of_both_images_has_an_allowed_licence_or_an_exception(capsys):
    assert licences.main([]) == 0
    assert capsys.readouterr() == ("", "")
    found = licences.licences(RULES)
    assert set(found) == {name for image in IMAGES for name in graph(image)}
    assert {name for name, text in found.items() if not RULES.allows(text)} == set(RULES.exceptions)


def test_a_package_with_another_licence_and_an_exception_for_another_one_are_named():
    wrong = licences.problems({"new": "AGPL-3.0-only", "psycopg2-binary": "MIT"}, RULES)
    assert wrong[0] == "new: 'AGPL-3.0-only' is not allowed"
    assert {line.partition(":")[0] for line in wrong[1:]} == set(RULES.exceptions)


def test_an_exception_without_a_reason_is_refused(tmp_path):
    path = tmp_path / "licences.toml"
    path.write_text('allowed = []\n[names]\n[exceptions.a]\nlicence = "GPL"\nreason = ""\n')
    with pytest.raises(ValueError, match="exception for a"):
        licences.Rules.read(path)
