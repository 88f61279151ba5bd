"""Every stage, killed with SIGKILL at many moments and run again: the same bytes, nothing half-written to be read.

By default a sample of the moments is tried; `--all-kills` tries all of them.
"""

import os
import re

import pytest

from include.recommender.storage.artifacts import ArtifactStore

from .proxy import Fault
from .stages import STAGES
from .story import essence

MOMENTS = 2


def moments(n: int, everything: bool) -> list[int]:
    """Which of n moments to try: evenly, the last among them, which is most often the manifest's."""
    if everything or n <= MOMENTS:
        return list(range(n))
    return [(part + 1) * n // MOMENTS - 1 for part in range(MOMENTS)]


def leftovers(cache):
    """Names of private directories and temporary files."""
    return sorted(
        os.path.join(folder, name)
        for folder, folders, files in os.walk(cache)
        for name in (*folders, *files)
        if name.startswith(".")
    )


def run_again(story, stage, cache):
    """The stage's next try: it must come to what the undisturbed run came to."""
    assert story.problems() == []
    story.script.faults.clear()
    done = story.start(stage, cache).result()
    expected = story.chapters[stage].handle
    # The killed try may have published already; that it had is all that may differ.
    assert done["handle"] in (expected, {**expected, "fresh": False} if stage == "upload_model" else expected)
    assert essence(story.bucket()) == essence(story.chapters[stage].after)
    with ArtifactStore(story.direct.root, cache).workdir():
        pass  # as the next stage on this worker would
    assert leftovers(cache) == []


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_a_request_to_the_store(story, all_kills, stage, when):
    """At each request in turn, before it is carried out or after it was; the next try on that worker or a new one."""
    for k in moments(story.chapters[stage].n_requests, all_kills):
        with story.worker(stage, fresh=k % 2 == 1) as cache:
            victim = []
            deed = {"action" if when == "before" else "after": lambda victim=victim: victim[0].kill()}
            story.script.faults = [Fault("", "", "reset" if when == "before" else "lost", skip=k, **deed)]
            with story.script.lock:
                victim.append(story.start(stage, cache))
            assert victim[0].result() is None, f"request {k} never came"
            run_again(story, stage, cache)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_while_it_works_on_its_disk(story, all_kills, stage):
    """Before each thing it does to a file or directory of its cache."""
    for k in moments(story.chapters[stage].n_deeds, all_kills):
        with story.worker(stage) as cache:
            assert story.start(stage, cache, die_at=k + 1).result() is None, f"there is no deed {k}"
            run_again(story, stage, cache)


def test_the_sample_has_the_last_moment():
    assert moments(41, everything=False) == [19, 40]
    assert moments(1, everything=False) == [0]
    assert moments(40, everything=True) == list(range(40))


def test_the_run_that_is_disturbed_does_all_there_is(story):
    """With a champion, a warm start and a move: otherwise less would be killed than it seems."""
    after = story.chapters["write_report"].after
    assert len([key for key in after if re.fullmatch(r"models/[^/]+/manifest\.json", key)]) == 2
    assert len([key for key in after if "/history/" in key]) == 2
    assert b'"start": "20180703-' in b"".join(data for key, data in after.items() if "/train_als/" in key)
