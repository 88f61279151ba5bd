"""The bodies of the tasks whose memory and time grow with the reviews. It imports no Airflow: on AWS they run as jobs.

A body has the name of its task; `Run.artifact` opens the output of an earlier task by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from include.recommender.evaluation.outcomes import EvaluationCounts, TrainingCounts
from include.recommender.serving.batch import Batch
from include.recommender.serving.parts import Part
from include.recommender.serving.plan import Plan
from include.recommender.stages import fit, judge, prepare, publish
from include.recommender.stages.candidate import Candidate
from include.recommender.stages.fit import Fitted
from include.recommender.stages.publish import RunArtifacts
from include.recommender.stages.warm import candidate_start
from include.recommender.storage.artifacts import Artifact
from include.recommender.storage.documents import Count, plain

from .pinning import NONE_YET, check_unseen
from .run import ArtifactHandle, Run, XCom

# The tasks whose outputs make up a model.
JUDGED = ("encode_interactions", "choose_model", "train_als", "fit_neighbours")


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The XCom of a task about its lists: their number, the parts that they are in, and the bytes of these."""

    lists: Count
    parts: Count
    size_bytes: Count


def parse_reviews(run: Run) -> XCom:
    """Parse review lines into coded columns."""
    return run.record_output(prepare.parse_reviews(run.workspace, run.artifact("download_reviews"), run.config.parse))


def encode_interactions(run: Run) -> XCom:
    """Encode reviews as a train matrix and a holdout."""
    outcome = prepare.encode_interactions(run.workspace, run.artifact("parse_reviews"), run.as_of, run.config.encode)
    check_unseen(run.workspace.root, run.facts.tuned, outcome.artifact)
    return run.record_output(outcome)


def choose_model(run: Run) -> XCom:
    """Choose family, similarity, factors, ageing and item prior inside train."""
    return run.record_output(fit.choose_model(run.workspace, run.artifact("encode_interactions"), run.config))


def train_als(run: Run) -> XCom:
    """Train the candidate's item factors."""
    fold = run.artifact("encode_interactions")
    fixed = fit.fixed_config(run.artifact("choose_model"), run.config)
    start = candidate_start(run.workspace, fold, run.facts.channel, fixed.train)
    outcome = fit.train_als(run.workspace, run.artifact("parse_reviews"), fold, fixed=fixed, start=start)
    run.note(start=outcome.artifact.counted(TrainingCounts).start)
    return run.record_output(outcome)


def fit_popularity(run: Run) -> XCom:
    """Count the baselines."""
    fold = run.artifact("encode_interactions")
    return run.record_output(fit.fit_popularity(run.workspace, fold, run.config.popularity))


def fit_neighbours(run: Run) -> XCom:
    """Find the nearest neighbours of each item, for the candidate and for its rival."""
    fold, chosen = run.artifact("encode_interactions"), run.artifact("choose_model")
    return run.record_output(fit.fit_neighbours(run.workspace, fold, chosen, run.config))


def fit_rivals(run: Run) -> XCom:
    """Train plain ALS, which the candidate must not lose to."""
    return run.record_output(fit.fit_rivals(run.workspace, run.artifact("encode_interactions"), run.config))


def evaluate(run: Run) -> XCom:
    """Evaluate all models on the same holdout."""
    outcome = judge.evaluate(candidate_of(run))
    run.note(champion=outcome.artifact.counted(EvaluationCounts).champion)
    return run.record_output(outcome)


def refit(run: Run) -> XCom:
    """Fit the same configuration on everything before as_of; a handle for each field of `Fitted` that there is."""
    outcomes = fit.refit(run.workspace, run.artifact("parse_reviews"), _judged(run), as_of=run.as_of, config=run.config)
    return {name: run.record_output(outcome) for name, outcome in outcomes.items()}


def upload_model(run: Run) -> XCom:
    """Upload the bundle into the registry."""
    refitted = run.output("refit", dict[str, ArtifactHandle])
    artifacts = RunArtifacts(
        resolved=run.artifact("resolve_snapshot"),
        downloaded=run.artifact("download_reviews"),
        parsed=run.artifact("parse_reviews"),
        judged=_judged(run),
        baselines=run.artifact("fit_popularity"),
        rivals=run.artifact("fit_rivals"),
        evaluated=run.artifact("evaluate"),
        gated=run.artifact("recall_gate"),
        published=_fitted({name: run.open(handle) for name, handle in refitted.items()}),
    )
    tuned = None if run.facts.tuned == NONE_YET else run.facts.tuned
    publication = publish.Publication(
        artifacts=artifacts, as_of=run.as_of, run=run.facts.run_id, config=run.config, tuned=tuned
    )
    published = asdict(publish.upload_model(run.workspace, publication))
    run.note(**published)
    return published


def recommend_users(run: Run) -> XCom:
    """Write the list of each user, in parts."""
    return _written(run, _batch(run).write_users(run.workspace.cache))


def similar_items(run: Run) -> XCom:
    """Write the most similar items of each item, in parts."""
    return _written(run, _batch(run).write_similar(run.workspace.cache))


def candidate_of(run: Run) -> Candidate:
    """What this run made, to be judged."""
    return Candidate(
        workspace=run.workspace,
        parsed=run.artifact("parse_reviews"),
        fitted=_judged(run),
        baselines=run.artifact("fit_popularity"),
        rivals=run.artifact("fit_rivals"),
        as_of=run.as_of,
        channel=run.facts.channel,
        config=run.config,
    )


def _judged(run: Run) -> Fitted:
    return Fitted(*(run.artifact(task) for task in JUDGED))


def _fitted(parts: Mapping[str, Artifact]) -> Fitted:
    return Fitted(parts["encoded"], parts["chosen"], parts["trained"], parts.get("neighbours"))


def _batch(run: Run) -> Batch:
    return Batch.open(run.workspace.registry, run.output("resolve_model", Plan), run.workspace.cache)


def _written(run: Run, parts: list[Part]) -> XCom:
    lists, size_bytes = sum(part.lists for part in parts), sum(part.size_bytes for part in parts)
    found: dict[str, Any] = plain(Written(lists=lists, parts=len(parts), size_bytes=size_bytes))
    run.note(**found)
    return found


@dataclass(frozen=True)
class HeavyTask:
    """A body, and the earlier tasks whose outputs it reads."""

    body: Callable[[Run], XCom]
    reads: tuple[str, ...]


_CANDIDATE = ("parse_reviews", *JUDGED, "fit_popularity", "fit_rivals")
HEAVY: Mapping[str, HeavyTask] = MappingProxyType(
    {
        "parse_reviews": HeavyTask(parse_reviews, ("download_reviews",)),
        "encode_interactions": HeavyTask(encode_interactions, ("parse_reviews",)),
        "choose_model": HeavyTask(choose_model, ("encode_interactions",)),
        "train_als": HeavyTask(train_als, ("parse_reviews", "encode_interactions", "choose_model")),
        "fit_neighbours": HeavyTask(fit_neighbours, ("encode_interactions", "choose_model")),
        "fit_rivals": HeavyTask(fit_rivals, ("encode_interactions",)),
        "fit_popularity": HeavyTask(fit_popularity, ("encode_interactions",)),
        "evaluate": HeavyTask(evaluate, _CANDIDATE),
        "refit": HeavyTask(refit, ("parse_reviews", *JUDGED)),
        "upload_model": HeavyTask(
            upload_model, ("resolve_snapshot", "download_reviews", *_CANDIDATE, "evaluate", "recall_gate", "refit")
        ),
        "recommend_users": HeavyTask(recommend_users, ("resolve_model",)),
        "similar_items": HeavyTask(similar_items, ("resolve_model",)),
    }
)
