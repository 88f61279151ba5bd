"""The bodies of the tasks of `recommender_batch`."""

from __future__ import annotations

from typing import Any

import msgspec
from airflow.sdk import get_current_context

from include.recommender.registry.locate import resolve
from include.recommender.serving.batch import Batch
from include.recommender.serving.parts import Part
from include.recommender.serving.plan import Plan, finish
from include.recommender.storage.documents import Count, plain

from .pools import require_pool
from .run import Run, run_task
from .schedule import RECOMMENDATIONS


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The XCom of a task about its lists: their number, the parts that they are in, and the bytes of these."""

    lists: Count
    parts: Count
    size_bytes: Count


def resolve_model() -> dict[str, Any]:
    """The plan: the version that the parameter names, or that the channel points to now, and what is written."""

    def body(run: Run) -> dict[str, Any]:
        require_pool(run)
        registry = run.workspace.registry
        model_id = resolve(registry, run.batch.model or run.facts.channel)
        run.note(model_id=model_id)
        return dict(plain(Plan.of(registry.manifest(model_id), run.batch)))

    return dict(run_task(body))


def recommend_users() -> dict[str, Any]:
    """The list of each user, in parts."""

    def body(run: Run) -> dict[str, Any]:
        return _written(run, _batch(run).write_users(run.workspace.cache))

    return dict(run_task(body))


def similar_items() -> dict[str, Any]:
    """The most similar items of each item, in parts."""

    def body(run: Run) -> dict[str, Any]:
        return _written(run, _batch(run).write_similar(run.workspace.cache))

    return dict(run_task(body))


def write_manifest() -> str:
    """The manifest, which makes the batch exist, and an event of the asset; returns its URI."""

    def body(run: Run) -> str:
        plan, objects = run.output("resolve_model", Plan), run.workspace.root
        users, similar = (run.output(task, Written).parts for task in ("recommend_users", "similar_items"))
        uri = finish(objects, plan, user_parts=users, similar_parts=similar)
        run.note(uri=uri)
        about: dict[str, Any] = {"model_id": plan.model_id, "uri": objects.uri(plan.folder)}
        get_current_context()["outlet_events"][RECOMMENDATIONS].extra = about
        return uri

    return str(run_task(body))


def _batch(run: Run) -> Batch:
    return Batch.open(run.workspace.registry, run.output("resolve_model", Plan), run.workspace.cache)


def _written(run: Run, parts: list[Part]) -> dict[str, Any]:
    lists, size_bytes = sum(part.lists for part in parts), sum(part.size_bytes for part in parts)
    found: dict[str, Any] = plain(Written(lists=lists, parts=len(parts), size_bytes=size_bytes))
    run.note(**found)
    return found
