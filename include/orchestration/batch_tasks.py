"""The bodies of the tasks of `recommender_batch`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context

from include.recommender.registry.locate import resolve
from include.recommender.serving.batch import Batch, Part
from include.recommender.serving.version import ServedVersion
from include.recommender.storage.documents import plain

from .pools import require_pool
from .run import Run, run_task
from .schedule import RECOMMENDATIONS


def resolve_model() -> str:
    """The version that makes the lists: the parameter, or what the channel points to now. Later tasks take the same."""

    def body(run: Run) -> str:
        require_pool(run)
        model_id = resolve(run.workspace.registry, run.batch.model or run.facts.channel)
        run.note(model_id=model_id)
        return model_id

    return str(run_task(body))


def recommend_users() -> list[dict[str, Any]]:
    """The list of each user, in parts."""

    def body(run: Run) -> list[dict[str, Any]]:
        return _noted(run, "users", _batch(run).write_users(run.workspace.cache))

    return list(run_task(body))


def similar_items() -> list[dict[str, Any]]:
    """The most similar items of each item, in parts."""

    def body(run: Run) -> list[dict[str, Any]]:
        return _noted(run, "items", _batch(run).write_similar(run.workspace.cache))

    return list(run_task(body))


def write_manifest() -> str:
    """The manifest, which makes the batch exist, and an event of the asset; returns its URI."""

    def body(run: Run) -> str:
        batch = _batch(run)
        uri = batch.finish()
        run.note(uri=uri)
        about: dict[str, Any] = {"model_id": batch.version.manifest.model_id, "uri": batch.uri}
        get_current_context()["outlet_events"][RECOMMENDATIONS].extra = about
        return uri

    return str(run_task(body))


def _batch(run: Run) -> Batch:
    model_id = run.output("resolve_model", str)
    version = ServedVersion.fetch(run.workspace.registry, model_id, run.workspace.cache)
    return Batch(run.workspace.root, version, run.batch)


def _noted(run: Run, what: str, parts: list[Part]) -> list[dict[str, Any]]:
    lists = sum(part.lists for part in parts)
    run.note(**{what: lists, "parts": len(parts), "bytes": sum(part.size_bytes for part in parts)})
    return [plain(part) for part in parts]
