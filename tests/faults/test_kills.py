"""Every stage, killed with SIGKILL at many moments and run again: the same bytes, nothing half-written to be read.

By default a sample of the moments is tried; `--all-kills` tries all of them.
"""

import os
import re

import pytest

from include.recommender.storage.artifacts import ArtifactStore
from include.recommender.storage.cache import ENTRY, LOCKS

from .proxy import Fault
from .stages import STAGES
from .story import essence

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

MOMENTS = 2
# Of promote_model's writes the first ones try the store with a race, and are alike; the last ones are the move.
OF_THE_RACE, OF_THE_MOVE = 4, 8


def sample(candidates: list[int], n: int = MOMENTS) -> list[int]:
    """Some of the moments, evenly, the last among them."""
    n = min(n, len(candidates))
    return [candidates[(part + 1) * len(candidates) // n - 1] for part in range(n)]


def request_moments(story, stage, everything):
    """Numbers of requests: all; or some writes, since nothing can be half done before the first; of a move all."""
    methods = story.chapters[stage].requests
    if everything:
        return list(range(len(methods)))
    writes = [number for number, method in enumerate(methods) if method in {"PUT", "POST", "DELETE"}]
    if stage != "promote_model":
        return sample(writes)
    return sorted({*sample(writes[:-OF_THE_MOVE], OF_THE_RACE), *writes[-OF_THE_MOVE:]})


def leftovers(cache):
    """Names of private directories and temporary files."""
    return sorted(
        os.path.join(folder, name)
        for folder, folders, files in os.walk(cache)
        for name in (*folders, *files)
        if name.startswith(".") and name not in {ENTRY, LOCKS}
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
def test_killed_at_a_request_to_the_store(story, all_kills, tmp_path, stage, when):
    """At a request, before it is carried out or after it was; the next try on that worker and on new ones in turn."""
    for k in request_moments(story, stage, all_kills):
        with story.worker(stage) as cache:
            victim = []
            deed = {"action" if when == "before" else "after": lambda victim=victim: victim[0].kill()}
            story.script.faults = [Fault("", "", "reset" if when == "before" else "lost", skip=k, **deed)]
            with story.script.lock:  # no request is answered before the victim is known
                victim.append(story.start(stage, cache))
            assert victim[0].result() is None, f"request {k} never came"
            run_again(story, stage, tmp_path / str(k) if k % 2 else cache)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_while_it_works_on_its_disk(story, all_kills, stage):
    """Before a thing that it does to a file or directory of its cache; the next try on that worker."""
    every = list(range(story.chapters[stage].n_deeds))
    for k in every if all_kills else sample(every):
        with story.worker(stage) as cache:
            assert story.start(stage, cache, die_at=k + 1).result() is None, f"there is no deed {k}"
            run_again(story, stage, cache)


def test_the_sample_has_the_last_moment():
    assert sample(list(range(41))) == [19, 40]
    assert sample([7]) == [7]
    assert sample([]) == []


def test_the_run_that_is_disturbed_does_all_there_is(story):
    """With a champion, a warm start and a move: otherwise less would be killed than it seems."""
    after = story.chapters["write_report"].after
    assert len([key for key in after if re.fullmatch(r"models/[^/]+/manifest\.json", key)]) == 2
    assert len([key for key in after if "/history/" in key]) == 2
    promotion = story.chapters["promote_model"]
    killed = {promotion.paths[k] for k in request_moments(story, "promote_model", everything=False)}
    move = [path for path in promotion.paths if "production" in path and "probe" not in path]
    written = {path for method, path in zip(promotion.requests, promotion.paths, strict=True) if method == "PUT"}
    assert {path for path in move if path in written} <= killed
    assert any("/history/" in path for path in killed)
    assert any(path.endswith("channels/production.json") for path in killed)
    trained = b"".join(data for key, data in after.items() if "/train_als/" in key)
    assert re.search(rb'"start": "\d{8}-[0-9a-f]{12}/', trained)
