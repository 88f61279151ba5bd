"""A run's candidate: what it has fitted, and what it is judged with."""

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

    parsed, fitted, baselines : the coded reviews, the judged model, and the popularity lists
    channel : whose champion the candidate is compared with
    """

    workspace: Workspace
    parsed: Artifact
    fitted: Fitted
    baselines: Artifact
    as_of: datetime
    channel: str
    config: RetrainConfig

    @property
    def counts(self) -> FoldCounts:
        """Those of the judged fold."""
        return self.fitted.encoded.counted(FoldCounts)
