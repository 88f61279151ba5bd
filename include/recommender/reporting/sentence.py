"""The verdict as one sentence: the same in report, log, terminal, alert and approval request."""

from __future__ import annotations

from ..registry.verdict import Verdict
from .pages import prose


def verdict_sentence(verdict: Verdict) -> str:
    """For example "PROMOTE: 2.7 % below the champion, within tolerance; better than popularity, 30 days by ..."."""
    forced = ", but a promotion is forced" if verdict.forced and verdict.decision != "PROMOTE" else ""
    return f"{verdict.decision}{forced}: {prose('; '.join(verdict.reasons), verdict.version_ids)}"
