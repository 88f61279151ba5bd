"""The tasks of `recommender_batch` as functions without arguments; those of `heavy` may run elsewhere."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context

from include.recommender.registry.locate import resolve
from include.recommender.serving.plan import Plan, finish
from include.recommender.storage.documents import plain

from . import heavy
from .pools import require_pool
from .run import Run, XCom
from .running import TaskBody
from .schedule import RECOMMENDATIONS


def _resolve_model(run: Run) -> XCom:
    """The plan: the version that the parameter names, or that the channel points to now, and what is written."""
    require_pool(run)
    registry = run.workspace.registry
    model_id = resolve(registry, run.batch.model or run.facts.channel)
    run.note(model_id=model_id)
    return dict(plain(Plan.of(registry.manifest(model_id), run.batch)))


def _write_manifest(run: Run) -> str:
    """The manifest, which makes the batch exist, and an event of the asset; returns its URI."""
    plan, objects = run.output("resolve_model", Plan), run.workspace.root
    users, similar = (run.output(task, heavy.Written).parts for task in ("recommend_users", "similar_items"))
    uri = finish(objects, plan, user_parts=users, similar_parts=similar)
    run.note(uri=uri)
    about: dict[str, Any] = {"model_id": plan.model_id, "uri": objects.uri(plan.folder)}
    get_current_context()["outlet_events"][RECOMMENDATIONS].extra = about
    return uri


resolve_model = TaskBody(_resolve_model)
recommend_users = TaskBody(heavy.recommend_users)
similar_items = TaskBody(heavy.similar_items)
write_manifest = TaskBody(_write_manifest)
