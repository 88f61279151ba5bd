"""The cache forgets what nobody uses."""

import os
import time

from include.recommender.stages.workspace import run_once
from include.recommender.storage.cache import prune


def test_what_was_used_lately_stays(workspace):
    def make(directory):
        (directory / "a").write_text("alpha")
        return {}

    kept, gone = (run_once(workspace, "stage", 1, {"x": x}, {}, make).artifact for x in (1, 2))
    (workspace.cache / "reviews" / "etag").mkdir(parents=True)
    assert len({kept.digest, gone.digest}) == 1  # the same bytes: one entry
    old = time.time() - 100
    for entry in workspace.cache.glob("*/*"):
        os.utime(entry, (old, old))
    workspace.artifacts.path(kept)
    assert prune(workspace.cache, keep_s=50) == ["reviews/etag"]
    assert (workspace.artifacts.path(gone) / "a").read_text() == "alpha"


def test_a_cache_that_is_not_there_yet_has_nothing_to_forget(tmp_path):
    assert prune(tmp_path / "none") == []
