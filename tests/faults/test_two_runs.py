"""Two different runs that make the same model at the same time."""

import pytest

from .proxy import Fault
from .stages import Task, upload_model
from .story import SECOND

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


def test_a_run_that_publishes_the_model_of_another_in_that_moment_leaves_it_whole(story):
    """Their manifest is there when ours comes; what the runs record of themselves differs."""
    handles = story.chapters["upload_model"].handles

    def theirs():
        upload_model(Task(story.direct, "theirs", SECOND, handles))

    with story.worker("upload_model") as cache:
        story.script.faults = [Fault("PUT", r"MODEL_CARD-", "call", action=theirs)]
        ours = story.start("upload_model", cache, run_id="ours").result()
        assert ours["handle"]["fresh"] is False
        assert story.direct.registry.manifest(ours["handle"]["model_id"]).run == "theirs"
        assert story.problems() == []
