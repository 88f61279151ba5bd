"""Judge every model on the same holdout, then apply the gate."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec.structs import replace

from ..config import GateConfig, RetrainConfig
from ..data.encoding import EncodedFold
from ..errors import ConfigError, DataError, GateRejected
from ..evaluation.evaluate import ModelEvaluation, Task, fold_task, judge
from ..evaluation.gate import CANDIDATE, CHAMPION, EARLIER, decide, paired_interval
from ..evaluation.judgement import Judgement, Judgements, metrics_of
from ..evaluation.outcomes import EvaluationCounts, GateCounts
from ..evaluation.rivals import judge_rivals, unaged
from ..models.protocol import ScoringModel
from ..parameters import RUN
from ..registry.code import code_of
from ..registry.verdict import ComparedVersion, Verdict
from ..reporting.sentence import verdict_sentence
from ..reporting.tables import render_verdict
from ..storage.arrays import load_array
from ..storage.artifacts import Artifact
from ..storage.documents import Origin, checked, load_json, to_json
from .candidate import Candidate
from .champion import ReferenceComparison, compare_with, version_of
from .fit import fixed_config, load_factors, load_model, load_neighbours, load_popularity
from .references import RecentVersions, UnreadableError, recent_versions
from .workspace import Outcome, Stage, Workspace, run_once

log = logging.getLogger(__name__)

Stored = TypeVar("Stored", bound=msgspec.Struct)

WITHOUT_PRIOR = "without_prior"


def evaluate(candidate: Candidate) -> Outcome:
    """Evaluate candidate, popularity, champion and earlier versions: judged.json, and recall_<model>.npy a user.

    `counts["champion_id"]` is the version that the channel pointed to. `counts["versions"]` describes the versions of
    the channel among the models.
    """
    state = candidate.workspace.registry.channels.read(candidate.channel)
    comparison, theirs = compare_with(candidate, state)
    # If the candidate is live already, there is nothing to decide.
    recent = RecentVersions() if comparison.same else recent_versions(candidate, state)
    judging = Judging(candidate, comparison, theirs)
    while True:
        try:
            outcome = _evaluated(judging, recent)
        except UnreadableError as error:
            log.warning("Not compared: %s", error)
            recent = recent.without(error.model_id, error.why)
        else:
            break
    log.info("Champion: %s", comparison.note)
    for row in outcome.artifact.counted(EvaluationCounts).versions[1:]:
        log.info("%s: %s", row.name, row.note)
    return outcome


@dataclass(frozen=True)
class Judging:
    """The models to judge: a run's candidate, and the champion with its configuration."""

    candidate: Candidate
    comparison: ReferenceComparison
    theirs: RetrainConfig


def _evaluated(judging: Judging, recent: RecentVersions) -> Outcome:
    candidate, comparison = judging.candidate, judging.comparison
    fitted, config = candidate.fitted, candidate.config

    def make(directory: Path) -> EvaluationCounts:
        outcome = _judge_all(judging, recent)
        for name, judged in outcome.items():
            np.save(directory / f"recall_{name}.npy", judged.recall, allow_pickle=False)
        judged_models = Judgements({name: row.stored() for name, row in outcome.items()})
        (directory / "judged.json").write_bytes(to_json(judged_models))
        return EvaluationCounts(
            judged_users=len(outcome[CANDIDATE].recall),
            models=sorted(outcome),
            champion=comparison.note,
            champion_how=comparison.how,
            champion_id=comparison.champion_id,
            versions=_versions(comparison, recent),
            not_compared=dict(recent.left_out),
        )

    inputs = {
        "fold": fitted.encoded.digest,
        "ids": candidate.parsed.digest,
        "candidate": fitted.trained.digest,
        "chosen": fitted.chosen.digest,
        "neighbours": fitted.neighbours.digest if fitted.neighbours else "",
        "popularity": candidate.baselines.digest,
        "rivals": candidate.rivals.digest,
        "champion_id": comparison.champion_id or "",
        **comparison.inputs,
        **recent.inputs,
    }
    settings = {
        **asdict(config.evaluate),
        "ks": config.evaluate.ks,  # derived by code outside the stage's identity
        "short_history": config.prior.short_history,
        "regularization": config.train.regularization,
        "plain": asdict(unaged(config.encode)),
    }
    stage = Stage("evaluate", code_of(__name__))
    return run_once(candidate.workspace, stage, config=settings, inputs=inputs, make=make)


def _judge_all(judging: Judging, recent: RecentVersions) -> dict[str, ModelEvaluation]:
    """Judge all models; versions of the channel are loaded one at a time, each as large as the candidate."""
    candidate = judging.candidate
    workspace, fitted, config = candidate.workspace, candidate.fitted, candidate.config
    fold = EncodedFold.load(workspace.artifacts.path(fitted.encoded))
    fold = fold.reweighed(fixed_config(fitted.chosen, config).encode)
    task = fold_task(fold, config.evaluate)
    model = load_model(workspace, fitted, config)
    models: dict[str, ScoringModel] = {CANDIDATE: model}
    if (model.prior.multipliers != 1).any():
        models[WITHOUT_PRIOR] = model.without_prior
    outcome = judge(models | load_popularity(workspace, candidate.baselines), task, config.evaluate)
    del model, models
    similar = load_neighbours(workspace, fitted.neighbours, rival=True) if fitted.neighbours else None
    outcome |= judge_rivals(load_factors(workspace, candidate.rivals), similar, fold, task, config)
    if judging.comparison.how != "none":
        outcome |= _judged(candidate, task, CHAMPION, judging.comparison, judging.theirs)
    for number, earlier in enumerate(recent.judged, 1):
        try:
            outcome |= _judged(candidate, task, f"{EARLIER}{number}", earlier.comparison, earlier.config)
        except DataError as error:
            raise UnreadableError(earlier.model_id, str(error)) from error
    return outcome


def _judged(
    candidate: Candidate, task: Task, name: str, comparison: ReferenceComparison, theirs: RetrainConfig
) -> dict[str, ModelEvaluation]:
    version = version_of(candidate, task.rows, comparison, theirs)
    return judge({name: version.model}, task, candidate.config.evaluate, version.histories)


def _versions(comparison: ReferenceComparison, recent: RecentVersions) -> list[ComparedVersion]:
    """The versions of the channel among the models: name, id, how each is judged, and a note."""
    rows = [(CHAMPION, comparison)] if comparison.champion_id else []
    rows += [(f"{EARLIER}{number}", each.comparison) for number, each in enumerate(recent.judged, 1)]
    return [ComparedVersion(name=name, model_id=str(row.champion_id), how=row.how, note=row.note) for name, row in rows]


def recall_gate(
    workspace: Workspace, evaluated: Artifact, top_k: int, force_reason: str | None, config: GateConfig
) -> Outcome:
    """Decide, and store the verdict with its evidence: verdict.json. HOLD and REJECT fail in `require_promotion`."""

    def make(directory: Path) -> GateCounts:
        path = workspace.artifacts.path(evaluated)
        counts = evaluated.counted(EvaluationCounts)
        recalls = {name: load_array(path / f"recall_{name}.npy", np.float64, (None,)) for name in counts.models}
        intervals = {
            name: paired_interval(recalls[CANDIDATE], recalls[name], config)
            for name in counts.models
            if name != CANDIDATE
        }
        verdict = replace(
            decide(recalls, top_k, config),
            forced=force_reason,
            intervals=intervals,
            versions=counts.versions,
            not_compared=counts.not_compared,
        )
        (directory / "verdict.json").write_bytes(to_json(verdict))
        return GateCounts(verdict.decision, forced=force_reason is not None, headline=verdict_sentence(verdict))

    problem = RUN["force_reason"].problem(force_reason)
    if problem:
        raise ConfigError(f"{problem}; it is stored permanently")
    settings = {**asdict(config), "top_k": top_k, "force_reason": force_reason}
    outcome = run_once(
        workspace,
        Stage("recall_gate", code_of(__name__)),
        config=settings,
        inputs={"evaluated": evaluated.digest},
        make=make,
    )
    log.info("\n%s", table(workspace, evaluated, outcome.artifact))
    return outcome


_REMEDY = "Delete the artifact that it belongs to, and clear the task that made it."


def read_verdict(workspace: Workspace, gated: Artifact) -> Verdict:
    """Read verdict.json. Raises DataError that names each wrong field."""
    return _document(workspace, gated, name="verdict.json", type_=Verdict, what="a verdict")


def read_judged(workspace: Workspace, evaluated: Artifact) -> dict[str, Judgement]:
    """Read judged.json: model -> its judgement. Raises DataError, also if a model is missing."""
    judged = _document(workspace, evaluated, name="judged.json", type_=Judgements, what="a judgement").models
    missing = [name for name in evaluated.counted(EvaluationCounts).models if name not in judged]
    if missing:
        raise Origin(f"{evaluated.uri}/judged.json", "a judgement", _REMEDY).refusal([f"{missing[0]} is missing"])
    return judged


def _document(workspace: Workspace, artifact: Artifact, name: str, type_: type[Stored], what: str) -> Stored:
    body = load_json(workspace.artifacts.path(artifact) / name, _REMEDY)
    return checked(body, type_, Origin(f"{artifact.uri}/{name}", what, _REMEDY))


def table(workspace: Workspace, evaluated: Artifact, gated: Artifact) -> str:
    """The gate's table as text."""
    metrics = metrics_of(read_judged(workspace, evaluated))
    return render_verdict(metrics, read_verdict(workspace, gated), evaluated.counted(EvaluationCounts).champion)


def require_promotion(workspace: Workspace, gated: Artifact) -> None:
    """Raise GateRejected with one line, unless the verdict is PROMOTE or the promotion is forced.

    `recall_gate` has logged the table, and the report shows it.
    """
    verdict = read_verdict(workspace, gated)
    if not verdict.publishes:
        raise GateRejected(f"{verdict_sentence(verdict)}. Nothing is published.")


__all__ = ["Verdict", "evaluate", "read_judged", "read_verdict", "recall_gate", "require_promotion", "table"]
