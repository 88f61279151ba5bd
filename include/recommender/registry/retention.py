"""Retirement of old versions, in an order in which no channel ever loses the version that it points to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ..errors import ConfigError, DataError, PreconditionFailed
from ..storage.objects import ObjectInfo
from .batches import FOLDER, delete_batches
from .bundle import MANIFEST
from .listing import live
from .parallel import at_once
from .registry import Registry
from .sealed import write_document
from .versions import Tombstone, manifest_key, tombstone_key

log = logging.getLogger(__name__)

LEFTOVER_AGE = timedelta(days=1)
MODELS, BATCHES = "models/", f"{FOLDER}/"


@dataclass(frozen=True)
class Retention:
    """The rule: versions that are kept besides those that a channel points to.

    keep_newest : number of versions with the newest data; among equal ones those created last
    keep_moves : number of last moves of each channel whose versions are kept, both from and to
    leftover_age : files without a manifest (of a killed upload or retirement) that are older are deleted
    """

    keep_newest: int = 10
    keep_moves: int = 10
    leftover_age: timedelta = LEFTOVER_AGE

    def __post_init__(self) -> None:
        problems = [f"{name}={getattr(self, name)}: expected 0 or more" for name in ("keep_newest", "keep_moves")]
        wrong = [text for text in problems if getattr(self, text.split("=")[0]) < 0]
        if wrong:
            raise ConfigError(wrong)


@dataclass(frozen=True, kw_only=True)
class RetirementCandidate:
    """One version or its leftovers: its size, and why it is kept; without a reason it is deleted.

    known_until : ISO 8601
    recommendations_bytes : size of its batches
    """

    model_id: str
    known_until: str | None
    size_bytes: int
    n_files: int
    recommendations_bytes: int = 0
    kept_because: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Retirement:
    """The result: versions kept, deleted (or to be deleted), restored, and problems."""

    dry_run: bool
    kept: list[RetirementCandidate]
    retired: list[RetirementCandidate]
    leftovers: list[RetirementCandidate]
    spared: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def freed_bytes(self) -> int:
        """Size of everything that is deleted."""
        return sum(row.size_bytes + row.recommendations_bytes for row in self.retired + self.leftovers)


def plan(registry: Registry, rule: Retention, now: datetime | None = None) -> Retirement:
    """Return what `retire` would do; deletes nothing."""
    folders, batches = _folders(registry, MODELS), _folders(registry, BATCHES)
    complete = {name: rows for name, rows in folders.items() if _manifest_of(rows)}

    def candidate(name: str, known_until: str | None = None, why: Iterable[str] = ()) -> RetirementCandidate:
        files, lists = folders.get(name, []), batches.get(name, [])
        return RetirementCandidate(
            model_id=name,
            known_until=known_until,
            size_bytes=sum(each.size_bytes for each in files),
            n_files=len(files) + len(lists),
            recommendations_bytes=sum(each.size_bytes for each in lists),
            kept_because=tuple(why),
        )

    found = _reasons(registry, complete, rule).items()
    rows = [candidate(name, known_until, why) for name, (known_until, why) in found]
    pointed = set(live(registry).values())
    without_manifest = sorted((folders.keys() | batches.keys()) - complete.keys() - pointed)
    leftovers = [
        candidate(name)
        for name in without_manifest
        if _is_old([*folders.get(name, []), *batches.get(name, [])], rule, now)
    ]
    kept, retired = [row for row in rows if row.kept_because], [row for row in rows if not row.kept_because]
    return Retirement(dry_run=True, kept=kept, retired=retired, leftovers=leftovers)


def _folders(registry: Registry, prefix: str) -> dict[str, list[ObjectInfo]]:
    folders: dict[str, list[ObjectInfo]] = {}
    for row in registry.objects.walk(prefix):
        parts = row.key.split("/")
        if len(parts) > 2:
            folders.setdefault(parts[1], []).append(row)
    return folders


def _manifest_of(rows: Iterable[ObjectInfo]) -> ObjectInfo | None:
    return next((row for row in rows if row.key.count("/") == 2 and row.key.endswith(f"/{MANIFEST}")), None)


def _is_old(rows: Iterable[ObjectInfo], rule: Retention, now: datetime | None = None) -> bool:
    newest = max(row.modified_at for row in rows if row.modified_at is not None)
    return (now or datetime.now(UTC)) - newest > rule.leftover_age


def _reasons(
    registry: Registry, complete: dict[str, list[ObjectInfo]], rule: Retention
) -> dict[str, tuple[str | None, list[str]]]:
    """Version, newest first -> the instant until which it knows everything, and the reasons to keep it."""
    manifests = registry.manifests(complete)
    whole = [body for body in manifests.values() if not isinstance(body, DataError)]
    whole.sort(key=lambda body: (body.known_until, body.created_at, body.model_id), reverse=True)
    reasons: dict[str, tuple[str | None, list[str]]] = {
        body.model_id: (body.known_until.isoformat(), []) for body in whole
    }
    for body in whole[: rule.keep_newest]:
        reasons[body.model_id][1].append(f"among the {rule.keep_newest} newest")
    reasons |= {name: (None, ["its manifest cannot be read"]) for name in manifests if name not in reasons}
    for name, why in _named_by_channels(registry, rule):
        if name in reasons:
            reasons[name][1].append(why)
    return reasons


def _named_by_channels(registry: Registry, rule: Retention) -> list[tuple[str, str]]:
    found = []
    for channel in registry.channels.names():
        history = registry.channels.history(channel)
        if not history:  # the pointer has gone since the channels were listed
            continue
        found.append((history[-1].to_model, f"{channel} points to it"))
        recent = history[max(0, len(history) - rule.keep_moves) :]
        named = dict.fromkeys(name for move in recent for name in (move.from_model, move.to_model) if name)
        found += [(name, f"in the last {rule.keep_moves} moves of {channel}") for name in named]
    return found


def retire(registry: Registry, rule: Retention, who: str, *, dry_run: bool = True) -> Retirement:
    """Delete the versions that the rule does not keep, and old leftovers.

    The manifest of a retired version is kept below `retired/`, so a history stays readable. The manifest is deleted
    first: without it a version does not exist. Then the channels are read again, and a version that one of them now
    points to gets its manifest back. Then the batches of the retired versions go, their manifests first, and the files
    last. A later retirement completes a killed one.

    Raises
    ------
    ConfigError
        The store ignores conditional writes, or the credentials may not delete.
    DataError
        A channel or its history cannot be read.
    """
    if not dry_run:
        registry.channels.probe()
        _restore_manifests(registry, live(registry).values())
    planned = plan(registry, rule)
    if dry_run:
        return planned
    names = [row.model_id for row in planned.retired]
    _write_tombstones(registry, names, who)
    registry.objects.delete([manifest_key(name) for name in names])
    spared = _restore_manifests(registry, live(registry).values())
    gone = [name for name in names if name not in spared]
    problems = _delete_files(registry, gone, replace(rule, leftover_age=timedelta.min))
    problems += _delete_files(registry, [row.model_id for row in planned.leftovers], rule)
    retired = [row for row in planned.retired if row.model_id not in spared]
    return replace(planned, dry_run=False, retired=retired, spared=spared, problems=problems)


def _write_tombstones(registry: Registry, names: list[str], who: str) -> None:
    """Write the tombstones."""
    at = datetime.now(UTC).replace(microsecond=0)
    for name, manifest in registry.manifests(names).items():
        if isinstance(manifest, DataError):
            raise manifest
        tombstone = Tombstone(retired_at=at, who=who, manifest=manifest)
        registry.objects.write(tombstone_key(name), write_document(tombstone))


def _restore_manifests(registry: Registry, names: Iterable[str]) -> list[str]:
    """Restore the manifests of versions that channels now point to; return their ids."""
    found = []
    for name in set(names):
        if registry.objects.exists(manifest_key(name)):
            continue
        tombstone = registry.tombstone(name)
        if tombstone is None or registry.wrong_files(tombstone.manifest):
            continue
        with suppress(PreconditionFailed):
            registry.objects.write(manifest_key(name), write_document(tombstone.manifest), create_only=True)
        log.warning("A channel was moved to %s while it was being retired; it is kept", name)
        found.append(name)
    return found


def _delete_files(registry: Registry, names: list[str], rule: Retention) -> list[str]:
    """Delete folders that have no manifest and are old enough; return the problems."""

    def delete(name: str) -> str | None:
        rows, lists = (list(registry.objects.walk(f"{folder}{name}/")) for folder in (MODELS, BATCHES))
        if not rows + lists or _manifest_of(rows) or not _is_old(rows + lists, rule):
            return None
        delete_batches(registry.objects, lists)
        registry.objects.delete([row.key for row in rows])
        if not registry.objects.exists(manifest_key(name)):
            return None
        registry.objects.delete([manifest_key(name)])
        return f"{name} was published again while its old files were deleted: run its upload_model once more"

    return [problem for problem in at_once(registry.objects, delete, names) if problem]
