"""The candidate of a run: its artifacts and the settings of its judgement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..config import RetrainConfig
from ..data.counts import FoldCounts
from ..storage.artifacts import Artifact
from .fit import Fitted
from .workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The artifacts of one run up to its judgement.

    parsed, fitted : the coded reviews and the judged model, with similarities whatever its family
    baselines, rivals : the popularity lists, and plain ALS
    channel : its champion is compared with the candidate
    """

    workspace: Workspace
    parsed: Artifact
    fitted: Fitted
    baselines: Artifact
    rivals: Artifact
    as_of: datetime
    channel: str
    config: RetrainConfig

    @property
    def counts(self) -> FoldCounts:
        """Counts of the judged fold."""
        return self.fitted.encoded.counted(FoldCounts)
