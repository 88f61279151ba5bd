"""The tuned configuration of a retraining: found once a run, the same in all of its tasks, and never one that has seen
what the run judges on."""

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
# What the journal keeps where "newest" found nothing: a search may end while the run is on its way.
NONE_YET = "none"


def find_tuned(objects: ObjectStore, journal: Journal, facts: RunFacts, task: str) -> Tuned | None:
    """The tuned configuration that a run asks for, or None; later tasks take what the first one found.

    Raises
    ------
    NotFound, DataError
        There is none of the asked id, or it is damaged.
    """
    wanted = facts.params.get("tuned")
    if not wanted:
        return None
    pinned = _pinned(journal) if task != FIRST_TASK else None
    if pinned is not None:
        return None if pinned == NONE_YET else read_tuned(objects, pinned)
    found = resolve_tuned(objects, wanted, datetime.fromisoformat(facts.as_of))
    if found is None:
        log.info("tuned=%s: there is none yet that was better than the defaults; these are used", wanted)
    return found


def _pinned(journal: Journal) -> str | None:
    try:
        return journal.read_run().tuned
    except NotFound:
        return None


def check_unseen(objects: ObjectStore, name: str | None, encoded: Artifact) -> None:
    """Raise ConfigError if the search of a tuned configuration knew reviews of this run's holdout."""
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
