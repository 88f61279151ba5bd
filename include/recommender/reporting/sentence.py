"""The verdict in one sentence: the same in the report, the log, the terminal, an alert and the question to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pages import prose


def verdict_sentence(verdict: Mapping[str, Any]) -> str:
    """Such as "PROMOTE: 2.7 % below the champion, within tolerance; better than popularity, 30 days by 40.0 % ..."."""
    forced = ", but a promotion is forced" if verdict["forced"] and verdict["decision"] != "PROMOTE" else ""
    return f"{verdict['decision']}{forced}: {prose('; '.join(verdict['reasons']), version_ids(verdict))}"


def version_ids(verdict: Mapping[str, Any]) -> dict[str, str]:
    """Model -> id, of the channel's versions that were compared."""
    return {row["name"]: row["model_id"] for row in verdict.get("versions") or []}
