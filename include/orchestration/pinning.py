"""The tuned configuration of a retraining: resolved once a run, the same in all tasks, and never one whose search used
the holdout of the run."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from include.recommender.data.counts import FoldCounts
from include.recommender.errors import ConfigError, NotFound
from include.recommender.runs.journal import Journal, RunFacts
from include.recommender.storage.artifacts import Artifact
from include.recommender.storage.objects import ObjectStore
from include.recommender.tuning.records import Tuned
from include.recommender.tuning.tuned import read_tuned, resolve_tuned

log = logging.getLogger(__name__)

FIRST_TASK = "resolve_snapshot"
# Stored in the journal if "newest" found nothing: a search may end during the run.
NONE_YET = "none"


def find_tuned(objects: ObjectStore, journal: Journal, facts: RunFacts, task: str) -> Tuned | None:
    """Return the requested tuned configuration, or None; later tasks use the one that the first task found.

    Raises
    ------
    NotFound, DataError
        There is no configuration with this id, or it is damaged.
    """
    wanted = facts.params.get("tuned")
    if not wanted:
        return None
    pinned = _pinned(journal) if task != FIRST_TASK else None
    if pinned is not None:
        return None if pinned == NONE_YET else read_tuned(objects, pinned)
    found = resolve_tuned(objects, str(wanted), datetime.fromisoformat(facts.as_of))
    if found is None:
        log.info("tuned=%s: no configuration is better than the defaults yet; the defaults are used", wanted)
    return found


def _pinned(journal: Journal) -> str | None:
    try:
        return journal.read_run().tuned
    except NotFound:
        return None


def check_unseen(objects: ObjectStore, name: str | None, encoded: Artifact) -> None:
    """Raise ConfigError if the search used reviews of this run's holdout."""
    if not name or name == NONE_YET:
        return
    searched_s, split_s = read_tuned(objects, name).split_s, encoded.counted(FoldCounts).split_s
    if searched_s > split_s:
        seen, held = (datetime.fromtimestamp(instant, UTC).isoformat() for instant in (searched_s, split_s))
        raise ConfigError(
            f"tuned={name}: its search knew reviews up to {seen}, and this run judges on those from {held} on, so the "
            "judgement would not be fair. Take one of an earlier as_of, a later as_of for this run, or the "
            "holdout_fraction of the search."
        )
