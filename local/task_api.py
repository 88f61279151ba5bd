"""Airflow's task API, cut down to the versions that a run in one process needs.

`dag.test` builds this API in its own process, once for each version of Airflow that a worker may have: nine in 3.3.2,
six seconds of CPU. Here the only client is this process, of the newest version. Two versions are kept besides: an
endpoint that the newest one has dropped must be restored in an older one, or the API refuses to be built.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

VERSIONS = "airflow.api_fastapi.execution_api.versions"
KEPT = 2


def keep_newest_versions() -> None:
    """To be called before Airflow imports that API. An Airflow that is built otherwise keeps all of its versions."""
    import cadwyn

    bundle = cadwyn.VersionBundle

    def newest(head: Any, *versions: Any, **options: Any) -> Any:
        older = [cadwyn.Version(version.value) for version in versions[KEPT : KEPT + 1]]
        return bundle(head, *versions[:KEPT], *older, **options)

    cadwyn.VersionBundle = newest  # type: ignore[assignment,misc]
    try:
        with suppress(ImportError):
            import_module(VERSIONS)
    finally:
        cadwyn.VersionBundle = bundle  # type: ignore[misc]
