"""The versions that were live before the champion and may be compared on this run's holdout.

With the champion as the only reference, tolerated losses would add up over promotions. So the reference of the gate is
the best of the channel's recent versions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..config import RetrainConfig
from ..errors import ConfigError, DataError
from ..registry.bundle import Manifest
from ..registry.channels import ChannelState
from ..registry.moves import Move, replay
from .candidate import Candidate
from .champion import ReferenceComparison, is_candidate, their_config

log = logging.getLogger(__name__)

MOST_JUDGED = 3  # besides the champion; each is one more ranking for every judged user
MOST_READ = 60  # manifests


@dataclass(frozen=True)
class EarlierVersion:
    """A version that was live before the champion, judged by its published factors.

    on_record : Recall@K in its own verdict, if that used this holdout; else None
    """

    comparison: ReferenceComparison
    config: RetrainConfig
    on_record: float | None

    @property
    def model_id(self) -> str:
        """The version."""
        return str(self.comparison.champion_id)


@dataclass(frozen=True)
class RecentVersions:
    """Versions that are compared besides the champion, newest first; and (version, reason) for the others."""

    judged: tuple[EarlierVersion, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def inputs(self) -> dict[str, str]:
        """Inputs of the comparison, for the fingerprint."""
        found = {"earlier": " ".join(each.model_id for each in self.judged)} if self.judged else {}
        return found | {f"not compared {name}": why for name, why in self.left_out}

    def without(self, model_id: str, why: str) -> RecentVersions:
        """The same without a version that cannot be read."""
        kept = tuple(each for each in self.judged if each.model_id != model_id)
        return RecentVersions(kept, (*self.left_out, (model_id, why)))


class UnreadableError(Exception):
    """An earlier version cannot be loaded; it is then left out, and the run continues."""

    def __init__(self, model_id: str, why: str) -> None:
        super().__init__(f"{model_id}: {why}")
        self.model_id, self.why = model_id, why


def recent_versions(candidate: Candidate, state: ChannelState | None) -> RecentVersions:
    """Choose earlier versions: the best one by its own verdict on this holdout, then the newest ones.

    Versions that were rolled back are left out. So are those before the newest forced promotion: a person accepted that
    loss in writing. A version is judged only if its judged factors have not seen the holdout. Only the champion's
    configuration is refitted.
    """
    if state is None:
        return RecentVersions()
    registry = candidate.workspace.registry
    history = [move for move in registry.channels.history(state.move.channel) if move.number <= state.move.number]
    names = _before_champion(history)[:MOST_READ]
    manifests = registry.manifests(names)
    found: list[EarlierVersion] = []
    left_out: list[tuple[str, str]] = []
    for name in names:
        earlier = _earlier(name, manifests.get(name), candidate)
        if isinstance(earlier, str):
            left_out.append((name, earlier))
        elif earlier:
            found.append(earlier)
    return RecentVersions(_chosen(found), tuple(left_out))


def _before_champion(history: Sequence[Move]) -> list[str]:
    """Versions of the channel's stack below its top, newest first, down to the newest forced promotion."""
    brought: dict[str, str] = {move.to_model: move.kind for move in history if move.kind != "rollback"}
    names: list[str] = []
    for name in dict.fromkeys(reversed(replay(history).stack)):
        names.append(name)
        if brought.get(name) == "force":
            break
    return names[1:]


def _earlier(name: str, manifest: Manifest | DataError | None, candidate: Candidate) -> EarlierVersion | str | None:
    """A version to judge, or why it cannot be judged; None for the candidate itself."""
    if manifest is None:
        return "it was retired"
    if isinstance(manifest, DataError):
        return str(manifest)
    try:
        if is_candidate(manifest.identity, candidate):
            return None
        if manifest.split_s > candidate.counts.split_s:
            return "it has seen this holdout"
        note = f"{name}: live earlier, its judged factors, which were trained before this split time"
        comparison = ReferenceComparison(how="published", champion_id=name, note=note, inputs={})
        return EarlierVersion(comparison, their_config(manifest, candidate.config), _on_record(manifest, candidate))
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        return f"its manifest cannot be used: {type(error).__name__}: {error}"


def _on_record(manifest: Manifest, candidate: Candidate) -> float | None:
    theirs = manifest.identity["ids"], manifest.split_s, manifest.published_split_s
    counts = candidate.counts
    if theirs != (candidate.parsed.digest, counts.split_s, counts.last_s + 1):
        return None
    recall = manifest.metrics["candidate"].get(f"recall@{candidate.config.evaluate.top_k}")
    return None if recall is None else float(recall)


def _chosen(found: Sequence[EarlierVersion]) -> tuple[EarlierVersion, ...]:
    """The best on record and the newest ones, at most MOST_JUDGED, in the given order."""
    on_record = [each for each in found if each.on_record is not None]
    first = max(on_record, key=lambda each: each.on_record or 0.0, default=None)
    order: Iterable[EarlierVersion] = ([first] if first else []) + [each for each in found if each is not first]
    kept = list(order)[:MOST_JUDGED]
    return tuple(each for each in found if any(each is one for one in kept))
