"""The data-quality gate: compare this snapshot with the profile of the one before."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import msgspec

from ..config import QualityConfig
from ..data.counts import ParseCounts
from ..data.quality import Check, compare, warnings
from ..errors import DataError
from ..storage.artifacts import Artifact
from ..storage.documents import Day, Origin, decode, to_json
from .workspace import Workspace

log = logging.getLogger(__name__)

FOLDER = "artifacts/profiles"
DAY_FILE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.json", re.ASCII)
REMEDY = "Delete it: the next older profile is then compared with, and a later run of that snapshot writes it again."


def check_snapshot(
    workspace: Workspace,
    snapshot: str,
    parsed: Artifact,
    config: QualityConfig,
    compared: Callable[[list[Check]], None] = lambda _: None,
) -> list[Check]:
    """Compare a snapshot with the newest earlier one that passed; store its profile if it passes.

    Parameters
    ----------
    compared : called with all checks before a failed one raises, for the report

    Raises
    ------
    DataError
        A check failed; the message has the numbers.
    """
    before = _newest_before(workspace, snapshot)
    now = parsed.counted(ParseCounts)
    checks = compare(before.counts, now, config) if before else []
    if before:
        log.info("Compared with snapshot %s", before.snapshot)
    else:
        log.info("No earlier snapshot has been processed yet: nothing to compare with")
    for check in checks:
        log.info("%s", check)
    for text in warnings(before.counts if before else None, now):
        log.warning("%s", text)
    compared(checks)
    failed = [check for check in checks if not check.passed]
    if failed and config.check_quality:
        raise DataError(
            f"Snapshot {snapshot} collapsed against {before.snapshot if before else None}: "
            f"{'; '.join(map(str, failed))}. Look at the snapshot: a file may be missing or cut. If this is as it "
            "should be, run again with check_quality off, or with wider limits; the next snapshots are then compared "
            "with this one."
        )
    profile = Profile(snapshot=snapshot, parsed=parsed.uri, counts=now)
    workspace.root.write(f"{FOLDER}/{snapshot}.json", to_json(profile))
    return checks


def _newest_before(workspace: Workspace, snapshot: str) -> Profile | None:
    keys = [row.key.removeprefix(f"{FOLDER}/") for row in workspace.root.walk(f"{FOLDER}/")]
    days = [key.removesuffix(".json") for key in keys if DAY_FILE.fullmatch(key)]
    newest = max((day for day in days if day < snapshot), default=None)
    return _profile(workspace, newest) if newest else None


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The profile of a snapshot that passed: its date, the URI of its parse, and the counts of the parse."""

    snapshot: Day
    parsed: str
    counts: ParseCounts


def _profile(workspace: Workspace, snapshot: str) -> Profile:
    """Parse the profile of a snapshot. Raises DataError that names each wrong field."""
    key = f"{FOLDER}/{snapshot}.json"
    origin = Origin(workspace.root.uri(key), "a profile", REMEDY)
    found = decode(workspace.root.read(key), Profile, origin)
    if found.snapshot != snapshot:
        raise origin.refusal([f"snapshot is {found.snapshot}"])
    return found
