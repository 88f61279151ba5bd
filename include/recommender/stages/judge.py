"""Judging: every contestant on the same holdout, then the gate."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from ..config import GateConfig, RetrainConfig
from ..data.encoding import EncodedFold
from ..errors import ConfigError, GateRejected
from ..evaluation.evaluate import fold_task, judge
from ..evaluation.gate import CANDIDATE, CHAMPION, Verdict, decide, paired_interval
from ..models.protocol import Recommender
from ..reporting.tables import render_verdict
from ..storage.arrays import load_array
from ..storage.artifacts import Artifact
from ..storage.documents import checked, load_json
from .champion import compare_with, contestant
from .fit import Fitted, load_model, load_popularity
from .workspace import Outcome, Workspace, run_once

log = logging.getLogger(__name__)

WITHOUT_PRIOR = "without_prior"


def evaluate(
    workspace: Workspace, parsed: Artifact, fitted: Fitted, as_of: datetime, channel: str, config: RetrainConfig
) -> Outcome:
    """Candidate, popularity and champion on one code path: judged.json and recall_<contestant>.npy a user."""
    state = workspace.registry.channels.read(channel)
    comparison, theirs = compare_with(workspace, fitted, state, config)

    def make(directory: Path) -> dict[str, Any]:
        fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
        task = fold_task(fold, config.evaluate)
        model = load_model(workspace, fitted, config.prior)
        contestants: dict[str, Recommender] = {CANDIDATE: model}
        if (model.prior.boosts != 1).any():
            contestants[WITHOUT_PRIOR] = model.als
        if comparison.how != "none":
            contestants[CHAMPION] = contestant(workspace, parsed, fitted, as_of, comparison, theirs)
        contestants |= load_popularity(workspace, fitted.popularity)
        outcome = judge(contestants, task, config.evaluate)
        for name, judged in outcome.items():
            np.save(directory / f"recall_{name}.npy", judged.recall, allow_pickle=False)
        told = ("means", "by_history", "slices")
        body = {name: {part: getattr(row, part) for part in told} for name, row in outcome.items()}
        (directory / "judged.json").write_text(json.dumps(body, indent=1, sort_keys=True))
        return {
            "judged_users": len(task.rows),
            "contestants": sorted(outcome),
            "champion": comparison.note,
            "champion_how": comparison.how,
            "champion_id": comparison.champion_id,
        }

    inputs = {
        "fold": fitted.encoded.digest,
        "ids": parsed.digest,
        "candidate": fitted.trained.digest,
        "popularity": fitted.popularity.digest,
        "champion_id": comparison.champion_id or "",
        **comparison.inputs,
    }
    outcome = run_once(
        workspace, "evaluate", 5, {**asdict(config.evaluate), "prior": asdict(config.prior)}, inputs, make
    )
    log.info("Champion: %s", comparison.note)
    return outcome


def recall_gate(
    workspace: Workspace, evaluated: Artifact, top_k: int, force_reason: str | None, config: GateConfig
) -> Outcome:
    """The verdict with its evidence: verdict.json. Look at `require_promotion` for what fails."""

    def make(directory: Path) -> dict[str, Any]:
        path = workspace.artifacts.path(evaluated)
        names = evaluated.counts["contestants"]
        recalls = {name: load_array(path / f"recall_{name}.npy", np.float64, (None,)) for name in names}
        verdict = replace(decide(recalls, top_k, config), forced=force_reason)
        intervals = {
            name: asdict(paired_interval(recalls[CANDIDATE], recalls[name], config))
            for name in names
            if name != CANDIDATE
        }
        body = {**verdict.as_dict(), "intervals": intervals, "thresholds": asdict(config)}
        (directory / "verdict.json").write_text(json.dumps(body, indent=1, sort_keys=True))
        return {"decision": verdict.decision, "forced": force_reason is not None}

    if force_reason is not None and len(force_reason.strip()) < 10:
        raise ConfigError("force_reason: expected a sentence of at least 10 characters; it is recorded for good")
    settings = {**asdict(config), "top_k": top_k, "force_reason": force_reason}
    outcome = run_once(workspace, "recall_gate", 3, settings, {"evaluated": evaluated.digest}, make)
    log.info("\n%s", table(workspace, evaluated, outcome.artifact))
    return outcome


class _Decision(msgspec.Struct):
    """Of verdict.json, what decides whether a model is published."""

    decision: Literal["PROMOTE", "HOLD", "REJECT"]
    forced: str | None
    top_k: Annotated[int, msgspec.Meta(ge=1)]


class _Judged(msgspec.Struct):
    """Of judged.json, what a model card and a table are made from."""

    means: dict[str, float]
    by_history: Any
    slices: Any


_REMEDY = "Delete the artifact that it belongs to, and clear the task that made it."


def read_verdict(workspace: Workspace, gated: Artifact) -> dict[str, Any]:
    """verdict.json."""
    path = workspace.artifacts.path(gated) / "verdict.json"
    body: dict[str, Any] = load_json(path, _REMEDY)
    checked(body, _Decision, f"{gated.uri}/{path.name}", "a verdict", _REMEDY, unknown=True)
    return body


def read_judged(workspace: Workspace, evaluated: Artifact) -> dict[str, Any]:
    """judged.json: contestant -> means, by_history, slices."""
    path = workspace.artifacts.path(evaluated) / "judged.json"
    body: dict[str, Any] = load_json(path, _REMEDY)
    for name in evaluated.counts["contestants"]:
        row = body.get(name) if isinstance(body, dict) else None
        checked(row, _Judged, f"{evaluated.uri}/{path.name}", f"a judgement of {name}", _REMEDY, unknown=True)
    return body


def table(workspace: Workspace, evaluated: Artifact, gated: Artifact) -> str:
    """The gate's table as text."""
    note = evaluated.counts.get("champion")
    return render_verdict(read_judged(workspace, evaluated), read_verdict(workspace, gated), note)


def require_promotion(workspace: Workspace, evaluated: Artifact, gated: Artifact) -> None:
    """Raise GateRejected, with the table, unless the verdict is PROMOTE or the promotion is forced."""
    verdict = read_verdict(workspace, gated)
    if verdict["decision"] != "PROMOTE" and not verdict["forced"]:
        raise GateRejected(f"{verdict['decision']}: nothing is published.\n{table(workspace, evaluated, gated)}")


__all__ = ["Verdict", "evaluate", "read_judged", "read_verdict", "recall_gate", "require_promotion", "table"]
