"""A store that is slower than the client waits, and a store whose clock is not the worker's."""

import pytest

from include.recommender.errors import ConfigError, TransientError

from .proxy import Fault
from .stages import workspace_at

BODY = bytes(range(256)) * 40


@pytest.fixture
def impatient(faulty, tmp_path):
    """(workspace, script) whose client waits a second for an answer."""
    workspace, script = faulty
    endpoint = workspace.root.client.meta.endpoint_url
    return workspace_at(endpoint, str(tmp_path / "impatient"), read_timeout=1), script


@pytest.mark.parametrize("kind", ["hang", "stall"])
def test_a_read_that_takes_too_long_is_tried_again(impatient, kind):
    workspace, script = impatient
    workspace.root.write("a", BODY)
    script.faults = [Fault("GET", "/shop/a", kind)]
    assert workspace.root.read("a") == BODY
    assert script.count("GET", "/shop/a") == 2


@pytest.mark.parametrize("kind", ["hang", "stall"])
def test_a_read_that_always_takes_too_long_is_transient_and_names_the_object(impatient, kind):
    workspace, script = impatient
    workspace.root.write("a", BODY)
    script.faults = [Fault("GET", "/shop/a", kind, times=99)]
    with pytest.raises(TransientError, match="s3://reviews/shop/a"):
        workspace.root.read("a")
    assert script.count("GET", "/shop/a") == 3


@pytest.mark.parametrize("kind", ["hang", "stall"])
def test_a_download_that_takes_too_long_leaves_nothing(impatient, tmp_path, kind):
    workspace, script = impatient
    workspace.root.write("a", BODY)
    info = workspace.root.head("a")
    script.faults = [Fault("GET", "/shop/a", kind, times=99)]
    with pytest.raises(TransientError, match="s3://reviews/shop/a"):
        workspace.root.download(info, tmp_path / "out" / "a")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_create_only_write_whose_answer_never_comes_is_found_written(impatient, tmp_path):
    """The second try loses against the first: the artifact is there, and that is no error."""
    workspace, script = impatient
    directory = tmp_path / "made"
    directory.mkdir()
    (directory / "a").write_text("alpha")
    script.faults = [Fault("PUT", r"manifest\.json", "late")]
    about = {"counts": {}, "timings": {}, "lineage": {}}
    made = workspace.artifacts.commit("stage", "f" * 32, directory, **about)
    assert script.count("PUT", r"manifest\.json") == 2
    assert workspace.artifacts.find("stage", "f" * 32) == made


def test_a_clock_that_the_store_does_not_accept_is_named(faulty):
    """Signatures carry the time; botocore does not correct it."""
    workspace, script = faulty
    script.faults = [Fault("GET", "/shop/a", "403", times=99, code="RequestTimeTooSkewed")]
    with pytest.raises(ConfigError, match=r"s3://reviews/shop/a: the clock of this machine .*UTC.*NTP"):
        workspace.root.read("a")
